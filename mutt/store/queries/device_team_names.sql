-- Every host that has a team of its own, with the team.
SELECT hostname, team_assignment
FROM device_teams
ORDER BY id
