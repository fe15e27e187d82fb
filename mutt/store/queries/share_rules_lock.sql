-- Lets single changes of rules go on beside one another, but not beside the application of a whole rule set.
SELECT pg_advisory_xact_lock_shared(%s)
