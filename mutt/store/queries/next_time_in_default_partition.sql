-- The first time in a range that is later than its start, or NULL.
SELECT min({time_column}) FROM {fallback} WHERE {time_column} > %s AND {time_column} < %s
