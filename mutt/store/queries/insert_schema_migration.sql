-- Records a migration, in the transaction that applied it.
INSERT INTO schema_migrations (version, name, checksum)
VALUES (%s, %s, %s)
