-- How many rows one table has, its partitions not counted.
SELECT count(*) FROM ONLY {table}
