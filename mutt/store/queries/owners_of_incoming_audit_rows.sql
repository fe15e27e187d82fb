-- For each row of the batch, in its order: the id of the row that has its place in the audit log; is it the same event?
-- A lateral look-up keeps PostgreSQL from reading the whole audit log to join it with a table it knows nothing about.
SELECT stored.id, stored.event_id = incoming.event_id
FROM incoming_audit_rows AS incoming
LEFT JOIN LATERAL (
    SELECT log.id, log.event_id
    FROM event_audit_log AS log
    WHERE log.correlation_id = incoming.correlation_id
        AND log.event_timestamp = incoming.event_timestamp
        AND log.content_hash = incoming.content_hash
    LIMIT 1
) AS stored ON true
ORDER BY incoming.position
