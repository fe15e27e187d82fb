-- Takes a whole batch of audit rows, each with its position in the batch in front.
COPY incoming_audit_rows (
    position, event_id, correlation_id, event_timestamp, hostname, message, source, syslog_severity, trap_oid, rule_id,
    team_assignment, handling, attributes, ingestion_timestamp, content_hash
) FROM STDIN
