-- Takes a whole batch of delivery attempts at once.
COPY alert_delivery_log (
    event_id, correlation_id, attempt, attempted_at, outcome, status_code, reason, latency_ms
) FROM STDIN
