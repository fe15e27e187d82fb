-- Takes a whole batch of audit rows at once; fails as a whole when one of them is there already.
COPY event_audit_log (
    event_id, correlation_id, event_timestamp, hostname, message, source, syslog_severity, trap_oid, rule_id,
    team_assignment, handling, attributes, ingestion_timestamp, content_hash
) FROM STDIN
