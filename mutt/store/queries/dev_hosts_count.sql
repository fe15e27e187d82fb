-- How many development hosts have a name that holds the text.
SELECT count(*) AS total
FROM development_hosts
WHERE %(q)s::text IS NULL OR strpos(lower(hostname), lower(%(q)s)) > 0
