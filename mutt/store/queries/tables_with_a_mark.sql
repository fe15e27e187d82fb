-- The plain tables in the schema of a partitioned one whose comment upkeep has written.
SELECT tables.oid, tables.relname, obj_description(tables.oid, 'pg_class')
FROM pg_class AS tables
WHERE tables.relkind = 'r' AND NOT tables.relispartition
    AND tables.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = %s::regclass)
    AND obj_description(tables.oid, 'pg_class') LIKE %s
ORDER BY tables.relname
