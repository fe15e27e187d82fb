-- Rows that lie in a default partition because their month has none of its own; counted up to a thousand and one each.
SELECT 'event_audit_log_default' AS partition,
       (SELECT count(*) FROM (SELECT FROM event_audit_log_default LIMIT 1001) AS some_rows) AS rows
UNION ALL
SELECT 'alert_delivery_log_default',
       (SELECT count(*) FROM (SELECT FROM alert_delivery_log_default LIMIT 1001) AS some_rows)
