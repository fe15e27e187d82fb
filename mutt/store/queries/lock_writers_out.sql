-- Waits until nobody writes to the table, and keeps it so until COMMIT; readers are not held up.
LOCK TABLE ONLY {parent} IN SHARE ROW EXCLUSIVE MODE
