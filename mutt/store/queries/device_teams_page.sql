-- Teams of devices by host name, those whose host or team holds the text.
SELECT id, hostname, team_assignment, updated_at
FROM device_teams
WHERE %(q)s::text IS NULL
    OR strpos(lower(hostname), lower(%(q)s)) > 0
    OR strpos(lower(team_assignment), lower(%(q)s)) > 0
ORDER BY lower(hostname), id
LIMIT %(limit)s OFFSET %(offset)s
