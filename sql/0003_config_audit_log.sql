-- Who changed what in the configuration, when and why.

CREATE TABLE config_audit_log (
    id             BIGSERIAL PRIMARY KEY,
    changed_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_by     TEXT NOT NULL,
    operation      TEXT NOT NULL,
    table_name     TEXT NOT NULL,
    -- Text, because not everything that can be changed has a number: hosts and dynamic settings have names.
    record_id      TEXT,
    old_values     JSONB,
    new_values     JSONB,
    reason         TEXT,
    correlation_id UUID,
    -- A change outside PostgreSQL is recorded as pending before it is made and marked applied afterwards.
    status         TEXT NOT NULL DEFAULT 'applied',

    CONSTRAINT config_audit_log_operation CHECK (operation IN ('CREATE', 'UPDATE', 'DELETE')),
    CONSTRAINT config_audit_log_status CHECK (status IN ('applied', 'pending'))
);
COMMENT ON TABLE config_audit_log IS 'Every change of the configuration; rows are never deleted.';

CREATE INDEX idx_config_audit_timestamp ON config_audit_log (changed_at DESC);
CREATE INDEX idx_config_audit_table ON config_audit_log (table_name);
CREATE INDEX idx_config_audit_operation ON config_audit_log (operation);
CREATE INDEX idx_config_audit_user ON config_audit_log (changed_by);
CREATE INDEX idx_config_audit_record ON config_audit_log (table_name, record_id);
CREATE INDEX idx_config_audit_correlation ON config_audit_log (correlation_id);
