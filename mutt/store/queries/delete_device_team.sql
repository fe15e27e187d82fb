-- Takes its team from a device; gives it as it was, or nothing when it had none.
DELETE FROM device_teams
WHERE lower(hostname) = lower(%(hostname)s)
RETURNING id, hostname, team_assignment, updated_at
