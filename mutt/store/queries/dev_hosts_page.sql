-- Development hosts by name, those whose name holds the text.
SELECT id, hostname, description, added_at
FROM development_hosts
WHERE %(q)s::text IS NULL OR strpos(lower(hostname), lower(%(q)s)) > 0
ORDER BY lower(hostname), id
LIMIT %(limit)s OFFSET %(offset)s
