-- Gives a device a team; gives nothing when it has one already.
INSERT INTO device_teams (hostname, team_assignment)
VALUES (%(hostname)s, %(team_assignment)s)
ON CONFLICT (lower(hostname)) DO NOTHING
RETURNING id, hostname, team_assignment, updated_at
