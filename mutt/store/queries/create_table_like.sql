-- An empty table with the columns, constraints and indexes of another.
CREATE TABLE {table} (LIKE {parent} INCLUDING ALL)
