-- Moves the rows of a range out of the default partition.
WITH moved AS (
    DELETE FROM {fallback} WHERE {time_column} >= %s AND {time_column} < %s RETURNING *
)
INSERT INTO {partition} SELECT * FROM moved
