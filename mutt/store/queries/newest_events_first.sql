-- The order of the audit log, after matching_events.
ORDER BY event_timestamp DESC, id DESC
LIMIT %(limit)s OFFSET %(offset)s
