-- One row per event and one row per attempt to deliver an alert, in monthly partitions.

-- Ids are handed out to a session a hundred at a time: they only name a row, and a COPY of a batch then
-- touches the sequence a few times instead of once a row.
CREATE SEQUENCE event_audit_log_id_seq AS BIGINT CACHE 100;

CREATE TABLE event_audit_log (
    id                  BIGINT NOT NULL DEFAULT nextval('event_audit_log_id_seq'),
    event_id            UUID NOT NULL,
    correlation_id      UUID NOT NULL,
    event_timestamp     TIMESTAMPTZ NOT NULL,
    hostname            TEXT NOT NULL,
    message             TEXT NOT NULL,
    source              TEXT,
    syslog_severity     SMALLINT,
    trap_oid            TEXT,
    -- No foreign key: a rule may be removed while its events are on their way, and no event may be refused for it.
    rule_id             INTEGER,
    team_assignment     TEXT,
    handling            TEXT NOT NULL,
    attributes          JSONB,
    ingestion_timestamp TIMESTAMPTZ NOT NULL,
    content_hash        BIGINT NOT NULL,
    created_at          TIMESTAMPTZ NOT NULL DEFAULT now(),

    -- What makes a write safe to repeat. It also serves look-ups by correlation_id; every further index costs
    -- insertion speed.
    PRIMARY KEY (correlation_id, event_timestamp, content_hash)
) PARTITION BY RANGE (event_timestamp);
COMMENT ON TABLE event_audit_log IS 'Every accepted event, once, with what was decided about it.';

ALTER SEQUENCE event_audit_log_id_seq OWNED BY event_audit_log.id;

CREATE INDEX idx_event_audit_hostname ON event_audit_log (hostname, event_timestamp DESC);
CREATE INDEX idx_event_audit_timestamp ON event_audit_log (event_timestamp DESC);

-- Takes what no month has a partition for, so that an event with an odd timestamp is never refused.
CREATE TABLE event_audit_log_default PARTITION OF event_audit_log DEFAULT;


CREATE TABLE alert_delivery_log (
    event_id       UUID NOT NULL,
    correlation_id UUID NOT NULL,
    attempt        INTEGER NOT NULL,
    attempted_at   TIMESTAMPTZ NOT NULL,
    outcome        TEXT NOT NULL,
    status_code    INTEGER,
    reason         TEXT,
    latency_ms     REAL,

    CONSTRAINT alert_delivery_log_outcome CHECK (outcome IN ('delivered', 'retry', 'dead_letter'))
) PARTITION BY RANGE (attempted_at);
COMMENT ON TABLE alert_delivery_log IS 'Every attempt to deliver an alert to Moogsoft, and what came of it.';

CREATE INDEX idx_alert_delivery_correlation ON alert_delivery_log (correlation_id);

CREATE TABLE alert_delivery_log_default PARTITION OF alert_delivery_log DEFAULT;


CREATE FUNCTION create_partition_of(parent TEXT, time_column TEXT, month DATE) RETURNS TEXT
LANGUAGE plpgsql AS $$
DECLARE
    first_day    TIMESTAMP := date_trunc('month', month::timestamp);
    -- The bounds name their offset: they are months in UTC whatever time zone the session has.
    lower_bound  TEXT := to_char(first_day, 'YYYY-MM-DD') || ' 00:00:00+00';
    upper_bound  TEXT := to_char(first_day + INTERVAL '1 month', 'YYYY-MM-DD') || ' 00:00:00+00';
    partition    TEXT := parent || '_' || to_char(first_day, 'YYYYMM');
    fallback     TEXT := parent || '_default';
BEGIN
    IF EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass(parent) AND inhrelid = to_regclass(partition)) THEN
        RETURN partition;
    END IF;

    -- One caller at a time gets past this line; writers and readers of other partitions are not held up.
    EXECUTE format('LOCK TABLE ONLY %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
    IF EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass(parent) AND inhrelid = to_regclass(partition)) THEN
        RETURN partition;
    END IF;
    IF to_regclass(partition) IS NOT NULL THEN
        RAISE EXCEPTION 'table % exists but is no partition of %; attach it, rename it or drop it', partition, parent
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    -- From here to the end of the transaction nobody sees the default partition, so that no row can slip in
    -- between the move and the attachment.
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', fallback);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition, parent);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %1$I WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING *) '
        'INSERT INTO %5$I SELECT * FROM moved',
        fallback, time_column, lower_bound, upper_bound, partition
    );
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition, lower_bound, upper_bound
    );
    RETURN partition;
END;
$$;
COMMENT ON FUNCTION create_partition_of(TEXT, TEXT, DATE) IS
    'Makes the partition of one month, moves the rows of that month out of the default partition, returns its name.';


CREATE FUNCTION create_monthly_partition(partition_date DATE) RETURNS TEXT
LANGUAGE plpgsql AS $$
DECLARE
    partition TEXT := create_partition_of('event_audit_log', 'event_timestamp', partition_date);
BEGIN
    PERFORM create_partition_of('alert_delivery_log', 'attempted_at', partition_date);
    RETURN partition;
END;
$$;
COMMENT ON FUNCTION create_monthly_partition(DATE) IS
    'Makes the partitions of the month that holds the date, if they do not exist; returns event_audit_log_YYYYMM.';

-- This month and the three that follow. Later ones are made by whoever calls the function every day.
SELECT create_monthly_partition((date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead))::date)
FROM generate_series(0, 3) AS ahead;
