-- Changes of the configuration that meet the conditions; a condition that is NULL does not take part.
SELECT id, changed_at, changed_by, operation, table_name, record_id, old_values, new_values, reason,
       correlation_id::text, status
FROM config_audit_log
WHERE (%(id)s::bigint IS NULL OR id = %(id)s)
    AND (%(table_name)s::text IS NULL OR table_name = %(table_name)s)
    AND (%(operation)s::text IS NULL OR operation = %(operation)s)
    AND (%(changed_by)s::text IS NULL OR changed_by = %(changed_by)s)
    AND (%(record_id)s::text IS NULL OR record_id = %(record_id)s)
    AND (%(correlation_id)s::uuid IS NULL OR correlation_id = %(correlation_id)s::uuid)
    AND (%(start)s::timestamptz IS NULL OR changed_at >= %(start)s::timestamptz)
    AND (%(end)s::timestamptz IS NULL OR changed_at < %(end)s::timestamptz)
