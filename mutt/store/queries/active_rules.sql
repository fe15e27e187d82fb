-- The rules in the order in which they are tried: the first that matches decides.
SELECT id, match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling, team_assignment
FROM alert_rules
WHERE is_active
ORDER BY priority DESC, id
