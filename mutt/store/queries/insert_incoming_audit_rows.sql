-- Adds to the audit log what is not there yet; of two equal rows in the batch the first one counts.
INSERT INTO event_audit_log (
    event_id, correlation_id, event_timestamp, hostname, message, source, syslog_severity, trap_oid, rule_id,
    team_assignment, handling, attributes, ingestion_timestamp, content_hash
)
SELECT
    event_id, correlation_id, event_timestamp, hostname, message, source, syslog_severity, trap_oid, rule_id,
    team_assignment, handling, attributes, ingestion_timestamp, content_hash
FROM incoming_audit_rows
ORDER BY position
ON CONFLICT (correlation_id, event_timestamp, content_hash) DO NOTHING
RETURNING id
