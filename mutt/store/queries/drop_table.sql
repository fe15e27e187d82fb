-- Removes a table and what it holds.
DROP TABLE {table}
