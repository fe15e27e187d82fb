-- Adds a development host; gives nothing when there is one of that name already.
INSERT INTO development_hosts (hostname, description)
VALUES (%(hostname)s, %(description)s)
ON CONFLICT (lower(hostname)) DO NOTHING
RETURNING id, hostname, description, added_at
