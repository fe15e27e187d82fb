-- Where a batch waits when some of it may be in the audit log already; position is its place in the batch.
CREATE TEMPORARY TABLE incoming_audit_rows (
    position            INTEGER NOT NULL,
    event_id            UUID NOT NULL,
    correlation_id      UUID NOT NULL,
    event_timestamp     TIMESTAMPTZ NOT NULL,
    hostname            TEXT NOT NULL,
    message             TEXT NOT NULL,
    source              TEXT,
    syslog_severity     SMALLINT,
    trap_oid            TEXT,
    rule_id             INTEGER,
    team_assignment     TEXT,
    handling            TEXT NOT NULL,
    attributes          JSONB,
    ingestion_timestamp TIMESTAMPTZ NOT NULL,
    content_hash        BIGINT NOT NULL
) ON COMMIT DROP
