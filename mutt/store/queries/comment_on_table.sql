-- Leaves a note on a table.
COMMENT ON TABLE {table} IS %s
