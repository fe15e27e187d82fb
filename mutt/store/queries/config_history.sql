-- Changes of one record, newest first.
SELECT id, changed_at, changed_by, old_values, new_values, reason, status
FROM config_audit_log
WHERE table_name = %(table_name)s AND record_id = %(record_id)s
ORDER BY changed_at DESC, id DESC
LIMIT %(limit)s OFFSET %(offset)s
