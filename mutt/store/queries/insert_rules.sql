-- Adds rules; gives them as they are stored, in the order given.
INSERT INTO alert_rules (match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling,
                         team_assignment, is_active)
VALUES %s
RETURNING id, match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling, team_assignment,
          is_active, created_at, updated_at
