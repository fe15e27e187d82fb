-- Events of the audit log that meet the conditions; a condition that is NULL does not take part. Others add the order.
-- The driver writes the values into the text, so that PostgreSQL plans for the conditions that are there.
SELECT event_id::text, correlation_id::text, event_timestamp, hostname, message, source, syslog_severity, trap_oid,
       rule_id, team_assignment, handling, attributes, ingestion_timestamp, created_at
FROM event_audit_log
WHERE (%(hostname)s::text IS NULL OR hostname = %(hostname)s)
    AND (%(hostname_prefix)s::text IS NULL OR starts_with(hostname, %(hostname_prefix)s))
    AND (%(rule_id)s::integer IS NULL OR rule_id = %(rule_id)s)
    AND (NOT %(unmatched)s OR rule_id IS NULL)
    AND (%(start)s::timestamptz IS NULL OR event_timestamp >= %(start)s::timestamptz)
    AND (%(end)s::timestamptz IS NULL OR event_timestamp < %(end)s::timestamptz)
    AND (%(handling)s::text IS NULL OR handling = %(handling)s)
    AND (%(team)s::text IS NULL OR team_assignment = %(team)s)
    AND (%(source)s::text IS NULL OR source = %(source)s)
    AND (%(q)s::text IS NULL OR strpos(lower(message), lower(%(q)s)) > 0)
