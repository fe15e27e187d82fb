-- How many changes of one record there are.
SELECT count(*) AS total
FROM config_audit_log
WHERE table_name = %(table_name)s AND record_id = %(record_id)s
