-- Partitions of this month and the next one (in UTC) that do not exist.
SELECT parent || '_' || month AS partition
FROM (VALUES ('event_audit_log'), ('alert_delivery_log')) AS parents (parent)
CROSS JOIN LATERAL (
    SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead), 'YYYYMM') AS month
    FROM generate_series(0, 1) AS ahead
) AS months
WHERE NOT EXISTS (
    SELECT FROM pg_inherits
    WHERE inhparent = to_regclass(parent) AND inhrelid = to_regclass(parent || '_' || month)
)
ORDER BY 1
