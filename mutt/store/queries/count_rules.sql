-- How many rules fit the filters.
SELECT count(*)
FROM alert_rules
WHERE (%(is_active)s::boolean IS NULL OR is_active = %(is_active)s)
  AND (%(match_type)s::text IS NULL OR match_type = %(match_type)s)
  AND (%(team)s::text IS NULL OR lower(team_assignment) = lower(%(team)s))
  AND (%(q)s::text IS NULL
       OR strpos(lower(match_string), lower(%(q)s)) > 0
       OR strpos(lower(trap_oid), lower(%(q)s)) > 0
       OR strpos(lower(team_assignment), lower(%(q)s)) > 0)
