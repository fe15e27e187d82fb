-- How many devices have a name or a team that holds the text.
SELECT count(*) AS total
FROM device_teams
WHERE %(q)s::text IS NULL
    OR strpos(lower(hostname), lower(%(q)s)) > 0
    OR strpos(lower(team_assignment), lower(%(q)s)) > 0
