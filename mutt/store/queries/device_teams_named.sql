-- The teams of the devices of these names, in whatever case.
SELECT id, hostname, team_assignment, updated_at
FROM device_teams
WHERE lower(hostname) IN (SELECT lower(name) FROM unnest(%(hostnames)s::text[]) AS name)
