-- The attempts to deliver its alerts; one that was written twice, after a lost answer, is one.
SELECT DISTINCT event_id::text, attempt, attempted_at, outcome, status_code, reason, latency_ms
FROM alert_delivery_log
WHERE correlation_id = %(correlation_id)s::uuid
ORDER BY attempted_at, attempt
LIMIT %(most)s
