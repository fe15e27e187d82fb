-- The order of the configuration audit, after matching_config_changes.
ORDER BY changed_at DESC, id DESC
LIMIT %(limit)s OFFSET %(offset)s
