-- Many changes of one author, made at once.
INSERT INTO config_audit_log (changed_by, operation, table_name, record_id, old_values, new_values, reason,
                              correlation_id, status)
VALUES %s
