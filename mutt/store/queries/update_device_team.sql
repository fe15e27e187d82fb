-- Gives a device another team; gives it as it is now, or nothing when it has none.
UPDATE device_teams
SET team_assignment = %(team_assignment)s
WHERE lower(hostname) = lower(%(hostname)s)
RETURNING id, hostname, team_assignment, updated_at
