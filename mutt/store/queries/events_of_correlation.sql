-- What came in under one correlation id, in the order in which it came.
SELECT event_id::text, correlation_id::text, event_timestamp, hostname, message, source, syslog_severity, trap_oid,
       rule_id, team_assignment, handling, attributes, ingestion_timestamp, created_at
FROM event_audit_log
WHERE correlation_id = %(correlation_id)s::uuid
ORDER BY ingestion_timestamp, id
LIMIT %(most)s
