-- Removes a development host; gives it as it was, or nothing when there was none.
DELETE FROM development_hosts
WHERE lower(hostname) = lower(%(hostname)s)
RETURNING id, hostname, description, added_at
