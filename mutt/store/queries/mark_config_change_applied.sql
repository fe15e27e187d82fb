-- Notes that a change outside PostgreSQL, recorded before it was made, has been made.
UPDATE config_audit_log
SET status = 'applied'
WHERE id = %s
