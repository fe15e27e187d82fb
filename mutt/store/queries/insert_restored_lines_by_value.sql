-- Adds the lines that are not there yet, of equal ones as many as are missing: the table has no key.
INSERT INTO {target} ({columns})
SELECT {columns}
FROM restored_lines
CROSS JOIN LATERAL json_populate_record(NULL::{parent}, line)
EXCEPT ALL
SELECT {columns} FROM {target} WHERE {time_column} >= %s AND {time_column} < %s
