-- Waits until nobody reads or writes the table, and keeps it so until COMMIT. The order is the one writers take.
LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE;
LOCK TABLE {fallback} IN ACCESS EXCLUSIVE MODE
