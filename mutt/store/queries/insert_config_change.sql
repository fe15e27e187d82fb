-- One change of the configuration, with who made it and why; gives its id.
INSERT INTO config_audit_log (changed_by, operation, table_name, record_id, old_values, new_values, reason,
                              correlation_id, status)
VALUES (%(changed_by)s, %(operation)s, %(table_name)s, %(record_id)s, %(old_values)s::jsonb, %(new_values)s::jsonb,
        %(reason)s, %(correlation_id)s::uuid, %(status)s)
RETURNING id
