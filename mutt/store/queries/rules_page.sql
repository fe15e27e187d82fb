-- One page of the rules that fit the filters, in the order they are tried.
SELECT id, match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling, team_assignment,
       is_active, created_at, updated_at
FROM alert_rules
WHERE (%(is_active)s::boolean IS NULL OR is_active = %(is_active)s)
  AND (%(match_type)s::text IS NULL OR match_type = %(match_type)s)
  AND (%(team)s::text IS NULL OR lower(team_assignment) = lower(%(team)s))
  AND (%(q)s::text IS NULL
       OR strpos(lower(match_string), lower(%(q)s)) > 0
       OR strpos(lower(trap_oid), lower(%(q)s)) > 0
       OR strpos(lower(team_assignment), lower(%(q)s)) > 0)
ORDER BY priority DESC, id
LIMIT %(limit)s OFFSET %(offset)s
