"""How the programs are set up for measurements: authentication, limits and metrics as at a busy site."""

PROGRAMS = {
    "mutt-ingestor": (["mutt.ingest"], "SERVER_PORT_INGESTOR"),
    "mutt-alerter": (["mutt.workers", "mutt-alerter"], "HEALTH_PORT_ALERTER"),
    "mutt-forwarder": (["mutt.workers", "mutt-forwarder"], "HEALTH_PORT_MOOG"),
    "mutt-remediation": (["mutt.workers", "mutt-remediation"], "HEALTH_PORT_REMEDIATION"),
    "mutt-webui": (["mutt.admin"], "SERVER_PORT_WEBUI"),
}
PIPELINE = tuple(PROGRAMS)
PORTS = (
    "SERVER_PORT_INGESTOR", "SERVER_PORT_WEBUI", "HEALTH_PORT_ALERTER", "METRICS_PORT_ALERTER", "HEALTH_PORT_MOOG",
    "METRICS_PORT_MOOG", "HEALTH_PORT_REMEDIATION", "METRICS_PORT_REMEDIATION",
)  # fmt: skip
SETTINGS = {
    "REDIS_HOST": "127.0.0.1", "REDIS_TLS_ENABLED": "false", "DB_HOST": "127.0.0.1", "DB_TLS_ENABLED": "false",
    "DB_NAME": "mutt_db", "DB_USER": "mutt_user", "SERVER_BIND_ADDRESS": "127.0.0.1", "LOG_LEVEL": "WARNING",
    "METRICS_BIND_ADDRESS": "127.0.0.1", "DYNAMIC_CONFIG_ENABLED": "true", "MUTT_SECRETS_BACKEND": "file",
    "INGEST_WORKERS": "1", "MAX_INGEST_QUEUE_SIZE": "100000000", "MOOG_RATE_LIMIT": "1000000",
    # Meta-alerts would be alerts that no event is behind, and the accounting counts events.
    "UNHANDLED_THRESHOLD": "1000000000",
}  # fmt: skip
DYNAMIC = {"moog_batch_size": "500", "alerter_queue_warn_threshold": "50000", "alerter_queue_shed_threshold": "100000",
           "alerter_shed_mode": "defer"}  # fmt: skip
"""Alert queues of a busy site; with the defaults, load is shed from 2,000 waiting alerts on."""


INGEST_QUEUE, ALERT_QUEUE = "mutt:ingest_queue", "mutt:alert_queue"
