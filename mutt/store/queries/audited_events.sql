-- What a decision needs of the audited events before a place in the log, newest first, not older than a time.
SELECT event_timestamp, id, correlation_id, hostname, message, syslog_severity, trap_oid
FROM event_audit_log
WHERE event_timestamp >= %(start)s
  -- The row comparison is what counts; this one lets PostgreSQL leave out whole months.
  AND event_timestamp <= %(before)s
  AND (event_timestamp, id) < (%(before)s, %(before_id)s)
ORDER BY event_timestamp DESC, id DESC
LIMIT %(most)s
