-- The migrations this database has had, oldest first.
SELECT version, name, checksum, applied_at
FROM schema_migrations
ORDER BY version
