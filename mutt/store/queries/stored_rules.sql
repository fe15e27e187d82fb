-- Every rule, active or not, in the order in which they are tried.
SELECT id, match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling, team_assignment,
       is_active, created_at, updated_at
FROM alert_rules
ORDER BY priority DESC, id
