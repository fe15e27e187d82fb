-- How many rows of each month, between two times, the default partition holds.
SELECT date_trunc('month', {time_column} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS month, count(*)
FROM {fallback}
WHERE {time_column} >= %s AND {time_column} < %s
GROUP BY month
ORDER BY month
