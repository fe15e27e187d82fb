-- One rule, active or not.
SELECT id, match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling, team_assignment,
       is_active, created_at, updated_at
FROM alert_rules
WHERE id = %s
