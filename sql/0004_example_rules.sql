-- Three rules to begin with. There is no rule for everything else on purpose: what no rule matches is counted
-- as unhandled and can be found, which a catch-all would hide.

INSERT INTO alert_rules (match_string, match_type, priority, prod_handling, dev_handling, team_assignment)
VALUES
    ('CRITICAL', 'contains', 900, 'Page_and_ticket', 'Ticket_only', 'NETO'),
    ('Interface.*down', 'regex', 800, 'Page_and_ticket', 'Email_only', 'NETO'),
    ('disk.*full', 'regex', 700, 'Ticket_only', 'Log_only', 'UNIX');
