-- Every development host.
SELECT hostname
FROM development_hosts
