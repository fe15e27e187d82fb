-- The development hosts of these names, in whatever case.
SELECT id, hostname, description, added_at
FROM development_hosts
WHERE lower(hostname) IN (SELECT lower(name) FROM unnest(%(hostnames)s::text[]) AS name)
