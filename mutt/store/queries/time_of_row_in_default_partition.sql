-- The time of the row after so many others of a range, or no row when the range has fewer.
SELECT {time_column}
FROM {fallback}
WHERE {time_column} >= %s AND {time_column} < %s
ORDER BY {time_column}
OFFSET %s LIMIT 1
