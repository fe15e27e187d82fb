-- Adds the lines whose key is not there yet.
INSERT INTO {target} ({columns})
SELECT {columns}
FROM restored_lines
CROSS JOIN LATERAL json_populate_record(NULL::{parent}, line)
ON CONFLICT DO NOTHING
