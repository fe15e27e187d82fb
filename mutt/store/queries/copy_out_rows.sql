-- Every row as one line of JSON. Those delimiters never occur in JSON, so nothing is quoted.
COPY (SELECT row_to_json(archived_row.*) FROM ONLY {table} AS archived_row)
TO STDOUT WITH (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')
