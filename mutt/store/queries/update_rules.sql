-- Gives rules new values; gives them as they are stored then, in no order.
UPDATE alert_rules
SET match_string = new.match_string, trap_oid = new.trap_oid, syslog_severity = new.syslog_severity,
    match_type = new.match_type, priority = new.priority, prod_handling = new.prod_handling,
    dev_handling = new.dev_handling, team_assignment = new.team_assignment, is_active = new.is_active
FROM (VALUES %s) AS new (id, match_string, trap_oid, syslog_severity, match_type, priority, prod_handling,
                         dev_handling, team_assignment, is_active)
WHERE alert_rules.id = new.id
RETURNING alert_rules.id, alert_rules.match_string, alert_rules.trap_oid, alert_rules.syslog_severity,
          alert_rules.match_type, alert_rules.priority, alert_rules.prod_handling, alert_rules.dev_handling,
          alert_rules.team_assignment, alert_rules.is_active, alert_rules.created_at, alert_rules.updated_at
