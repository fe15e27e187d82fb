-- Waits until no rule is being changed through the API, and keeps it so until the transaction ends.
SELECT pg_advisory_xact_lock(%s)
