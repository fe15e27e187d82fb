-- The partitions of a table that have two bounds, oldest first, with the comment that upkeep may have left on one.
SELECT child.oid, child.relname, bounds[1]::timestamptz, bounds[2]::timestamptz, obj_description(child.oid, 'pg_class')
FROM pg_inherits
JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
CROSS JOIN LATERAL regexp_match(
    pg_get_expr(child.relpartbound, child.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)'
) AS bounds
WHERE pg_inherits.inhparent = %s::regclass AND bounds IS NOT NULL
ORDER BY bounds[1]::timestamptz
