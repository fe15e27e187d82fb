-- The newest events of the audit log, newest first.
SELECT event_timestamp, hostname, message, source, syslog_severity, trap_oid, rule_id, team_assignment, handling,
       correlation_id
FROM event_audit_log
ORDER BY event_timestamp DESC
LIMIT %s
