-- How many events the audit log has from a time on and before another, counted up to a limit.
SELECT count(*)
FROM (
    SELECT 1
    FROM event_audit_log
    WHERE event_timestamp >= %(start)s AND event_timestamp < %(end)s
    LIMIT %(most)s
) AS counted
