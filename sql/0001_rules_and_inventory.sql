-- The rules, and what is known about the devices they judge.

CREATE FUNCTION update_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END;
$$;
COMMENT ON FUNCTION update_updated_at() IS 'Trigger: stamps updated_at of every row that is changed.';


CREATE TABLE alert_rules (
    id              SERIAL PRIMARY KEY,
    match_string    TEXT,
    trap_oid        TEXT,
    syslog_severity INTEGER,
    match_type      TEXT NOT NULL,
    priority        INTEGER NOT NULL DEFAULT 100,
    prod_handling   TEXT NOT NULL,
    dev_handling    TEXT NOT NULL,
    team_assignment TEXT NOT NULL,
    is_active       BOOLEAN NOT NULL DEFAULT true,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),

    CONSTRAINT alert_rules_match_type CHECK (match_type IN ('contains', 'regex', 'oid_prefix')),
    CONSTRAINT alert_rules_any_condition CHECK (
        match_string IS NOT NULL OR trap_oid IS NOT NULL OR syslog_severity IS NOT NULL
    ),
    -- A rule without a text to look for is a rule on severity alone; the guide calls such a rule "contains" too.
    CONSTRAINT alert_rules_match_type_field CHECK (
        CASE match_type
            WHEN 'regex' THEN match_string IS NOT NULL
            WHEN 'oid_prefix' THEN trap_oid IS NOT NULL
            WHEN 'contains' THEN match_string IS NOT NULL OR (trap_oid IS NULL AND syslog_severity IS NOT NULL)
            ELSE true
        END
    ),
    -- An empty text or OID matches every event, which nobody means.
    CONSTRAINT alert_rules_match_string CHECK (match_string <> ''),
    CONSTRAINT alert_rules_trap_oid CHECK (trap_oid <> ''),
    CONSTRAINT alert_rules_syslog_severity CHECK (syslog_severity BETWEEN 0 AND 7),
    CONSTRAINT alert_rules_priority CHECK (priority BETWEEN 1 AND 1000),
    CONSTRAINT alert_rules_prod_handling CHECK (
        prod_handling IN ('Page_and_ticket', 'Ticket_only', 'Email_only', 'Log_only')
    ),
    CONSTRAINT alert_rules_dev_handling CHECK (
        dev_handling IN ('Ticket_only', 'Email_only', 'Log_only', 'Suppress')
    ),
    CONSTRAINT alert_rules_team_assignment CHECK (team_assignment <> '')
);
COMMENT ON TABLE alert_rules IS 'What is done with which events; the highest priority that matches decides.';

CREATE INDEX idx_alert_rules_active ON alert_rules (is_active) WHERE is_active = true;
CREATE INDEX idx_alert_rules_priority ON alert_rules (priority DESC);

CREATE TRIGGER update_alert_rules_updated_at
    BEFORE UPDATE ON alert_rules
    FOR EACH ROW EXECUTE FUNCTION update_updated_at();


CREATE TABLE development_hosts (
    id          SERIAL PRIMARY KEY,
    hostname    TEXT NOT NULL,
    description TEXT,
    added_at    TIMESTAMPTZ NOT NULL DEFAULT now(),

    CONSTRAINT development_hosts_hostname CHECK (hostname <> '')
);
COMMENT ON TABLE development_hosts IS 'Hosts whose events get the dev_handling of the rule.';

CREATE UNIQUE INDEX idx_dev_hosts_hostname ON development_hosts (lower(hostname));


CREATE TABLE device_teams (
    id              SERIAL PRIMARY KEY,
    hostname        TEXT NOT NULL,
    team_assignment TEXT NOT NULL,
    updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),

    CONSTRAINT device_teams_hostname CHECK (hostname <> ''),
    CONSTRAINT device_teams_team_assignment CHECK (team_assignment <> '')
);
COMMENT ON TABLE device_teams IS 'Hosts whose events go to this team, whatever team the rule names.';

CREATE UNIQUE INDEX idx_device_teams_hostname ON device_teams (lower(hostname));

CREATE TRIGGER update_device_teams_updated_at
    BEFORE UPDATE ON device_teams
    FOR EACH ROW EXECUTE FUNCTION update_updated_at();
