"""Every setting of every program: its variable, its default, what it accepts and what it does.

Settings come from /etc/mutt/mutt.env (or the file that MUTT_ENV_FILE names) and the process environment, which
wins. They are read once at start into one frozen object per program. All mistakes are reported together.
The template etc/mutt/mutt.env is tested against these classes, so neither can say what the other does not.
"""

import dataclasses
import difflib
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mutt.errors import EX_CONFIG, ConfigurationError

DEFAULT_ENV_FILE = Path("/etc/mutt/mutt.env")

OWNED_PREFIXES = (
    "ALERT_QUEUE_", "ALERTER_", "AUDIT_LOG_", "BRPOPLPUSH_", "CACHE_", "DB_", "DYNAMIC_CONFIG_", "HEALTH_PORT_",
    "INGEST_", "LOG_", "MAX_INGEST_", "METRICS_", "MOOG_", "MUTT_", "OTEL_ENABLE", "OTEL_EXPORTER_OTLP_END",
    "OTEL_TRACES_SAMPLER_A", "POD_NAME", "PROMETHEUS_URL", "REDIS_", "REMEDIATION_", "REQUIRED_MESSAGE_",
    "RETENTION_", "SERVER_", "UNHANDLED_", "VAULT_", "WEBUI_",
)  # fmt: skip
"""A variable in mutt.env that starts so and that nobody knows is a typing mistake. OpenTelemetry has more variables
that start with OTEL_ than we read; those are none of our business."""

Parser = Callable[[str], Any]


# --- what a value may look like -------------------------------------------------------------------------------


def text(value: str) -> str:
    return value


def required_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def boolean(value: str) -> bool:
    word = value.strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError("must be true or false")


def integer(low: int, high: int) -> Parser:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return parse


def number(low: float, high: float) -> Parser:
    def parse(value: str) -> float:
        plain = re.fullmatch(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", value.strip())
        if not plain or not low <= float(value) <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return parse


port = integer(1, 65535)


def choice(*words: str) -> Parser:
    def parse(value: str) -> str:
        for word in words:
            if value.strip().lower() == word.lower():
                return word
        raise ValueError(f"must be one of {', '.join(filter(None, words))}")

    return parse


def names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def required_fields(value: str) -> tuple[str, ...]:
    fields = names(value)
    missing = [field for field in ("timestamp", "message", "hostname") if field not in fields]
    if missing:
        raise ValueError(f"must name timestamp, message and hostname; {', '.join(missing)} missing")
    return fields


def host_list(value: str) -> tuple[tuple[str, int], ...]:
    """``host:port,host:port``; the port may be left out (26379, Sentinel's)."""
    hosts = []
    for part in names(value):
        host, colon, digits = part.rpartition(":")
        if not colon:
            host, digits = part, "26379"
        try:
            hosts.append((required_text(host), port(digits)))
        except ValueError:
            raise ValueError("must be a list host:port,host:port") from None
    return tuple(hosts)


def http_url(value: str) -> str:
    if not re.match(r"https?://[^/\s]+", value.strip()):
        raise ValueError("must be an http:// or https:// URL")
    return value.strip()


def optional_http_url(value: str) -> str:
    return http_url(value) if value.strip() else ""


def path(value: str) -> Path:
    return Path(value)


def optional_path(value: str) -> Path | None:
    return Path(value) if value.strip() else None


def option(variable: str, default: Any, doc: str, parse: Parser = text, required: bool = False) -> Any:
    """One setting: a dataclass field that knows its variable, its meaning and how to read it."""
    metadata = {"variable": variable, "doc": doc, "parse": parse, "required": required}
    return dataclasses.field(default=default, metadata=metadata)


# --- the settings, by what they are about ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class GeneralSettings:
    """Logging and what all programs share"""

    log_level: str = option(
        "LOG_LEVEL", "INFO", "How much is logged.", choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    )
    log_json: bool = option("LOG_JSON_ENABLED", False, "Log one JSON object a line instead of plain text.", boolean)
    dynamic_config_enabled: bool = option(
        "DYNAMIC_CONFIG_ENABLED", False, "Follow the settings stored under mutt:config:* in Redis.", boolean
    )
    pod_name: str = option("POD_NAME", "", "Name of this host in Redis keys and logs; the host's own name when empty.")
    run_dir: Path = option(
        "MUTT_RUN_DIR", Path("/run/mutt"), "Folder for what lives only while the programs run.", path
    )
    shutdown_timeout_seconds: float = option(
        "MUTT_SHUTDOWN_TIMEOUT", 20.0, "Seconds a program may take to finish its work in hand when told to stop.",
        number(1, 600),
    )  # fmt: skip

    stall_seconds: float = option(
        "MUTT_STALL_SECONDS",
        120.0,
        "A worker that has messages and settles none for so long says so in /health.",
        number(1, 86400),
    )

    @property
    def pod(self) -> str:
        return self.pod_name or socket.gethostname()


@dataclasses.dataclass(frozen=True, slots=True)
class TracingSettings:
    """Traces: OpenTelemetry"""

    enabled: bool = option(
        "OTEL_ENABLED", False, "Send spans of ingest, alerter and forwarder to an OpenTelemetry collector.", boolean
    )
    endpoint: str = option(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "",
        "The collector's base URL for OTLP over HTTP, below which is /v1/traces; http://localhost:4318 when empty.",
        optional_http_url,
    )  # fmt: skip
    sampled_share: float = option(
        "OTEL_TRACES_SAMPLER_ARG", 1.0,
        "Share of the traces that begin at MUTT that are recorded. A traceparent of the source decides for itself.",
        number(0, 1),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class CredentialSettings:
    """Where the secrets are: HashiCorp Vault, or a file"""

    backend: str = option("MUTT_SECRETS_BACKEND", "vault", "vault or file.", choice("vault", "file"))
    file: Path = option(
        "MUTT_SECRETS_FILE", Path("/etc/mutt/secrets/secrets.env"),
        "KEY=VALUE file with the secrets, for the file backend; nobody but its owner and group may read it.", path,
    )  # fmt: skip
    vault_addr: str = option("VAULT_ADDR", "", "Vault's URL; required for the vault backend.", optional_http_url)
    vault_role_id: str = option("VAULT_ROLE_ID", "", "AppRole role id; required for the vault backend.")
    vault_secret_id_file: Path = option(
        "VAULT_SECRET_ID_FILE", Path("/etc/mutt/secrets/vault_secret_id"), "File with the AppRole secret id.", path
    )
    vault_secrets_path: str = option(
        "VAULT_SECRETS_PATH", "secret/mutt", "KV v2 mount and path of the secrets.", required_text
    )
    vault_ca_cert_path: Path | None = option(
        "VAULT_CA_CERT_PATH", None, "CA that signed Vault's certificate; the system's when empty.", optional_path
    )
    vault_token_renew_threshold_seconds: int = option(
        "VAULT_TOKEN_RENEW_THRESHOLD", 3600, "Renew the token when it has fewer seconds left.", integer(1, 2592000)
    )
    vault_renew_check_interval_seconds: int = option(
        "VAULT_RENEW_CHECK_INTERVAL", 300, "Look at the token and the secrets every so many seconds.", integer(1, 86400)
    )

    def problems(self) -> list[str]:
        if self.backend == "file":
            return []
        needed = {"VAULT_ADDR": self.vault_addr, "VAULT_ROLE_ID": self.vault_role_id}
        return [
            f"{variable} is not set; MUTT_SECRETS_BACKEND=vault needs it (or set MUTT_SECRETS_BACKEND=file)"
            for variable, value in needed.items()
            if not value
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class RedisSettings:
    """Redis or Valkey, the queue"""

    host: str = option("REDIS_HOST", "localhost", "Host name of Redis.", required_text)
    port: int = option("REDIS_PORT", 6379, "Port of Redis.", port)
    tls_enabled: bool = option("REDIS_TLS_ENABLED", True, "Speak TLS to Redis.", boolean)
    ca_cert_path: Path | None = option("REDIS_CA_CERT_PATH", None, "CA that signed Redis's certificate.", optional_path)
    client_cert_path: Path | None = option(
        "REDIS_CLIENT_CERT_PATH", None, "Our certificate, when Redis asks for one.", optional_path
    )
    client_key_path: Path | None = option("REDIS_CLIENT_KEY_PATH", None, "Key of our certificate.", optional_path)
    max_connections: int = option("REDIS_MAX_CONNECTIONS", 20, "Connections a process may hold.", integer(2, 10000))
    sentinel_hosts: tuple[tuple[str, int], ...] = option(
        "REDIS_SENTINEL_HOSTS", (), "host:port,host:port of the Sentinels; when set they name the primary.", host_list
    )
    sentinel_master: str = option("REDIS_SENTINEL_MASTER", "", "Name of the primary that the Sentinels watch.")

    def problems(self) -> list[str]:
        problems = []
        if bool(self.sentinel_hosts) != bool(self.sentinel_master):
            problems.append("REDIS_SENTINEL_HOSTS and REDIS_SENTINEL_MASTER must be set together")
        if bool(self.client_cert_path) != bool(self.client_key_path):
            problems.append("REDIS_CLIENT_CERT_PATH and REDIS_CLIENT_KEY_PATH must be set together")
        return problems


@dataclasses.dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """PostgreSQL: rules and the audit log"""

    host: str = option("DB_HOST", "localhost", "Host name of PostgreSQL.", required_text)
    port: int = option("DB_PORT", 5432, "Port of PostgreSQL.", port)
    name: str = option("DB_NAME", "mutt_db", "Database.", required_text)
    user: str = option("DB_USER", "mutt_user", "Role that MUTT connects as.", required_text)
    tls_enabled: bool = option("DB_TLS_ENABLED", True, "Speak TLS to PostgreSQL and check its certificate.", boolean)
    tls_ca_cert_path: Path | None = option(
        "DB_TLS_CA_CERT_PATH", None, "CA that signed PostgreSQL's certificate.", optional_path
    )
    tls_client_cert_path: Path | None = option(
        "DB_TLS_CLIENT_CERT_PATH", None, "Our certificate, when PostgreSQL asks for one.", optional_path
    )
    tls_client_key_path: Path | None = option("DB_TLS_CLIENT_KEY_PATH", None, "Key of our certificate.", optional_path)
    pool_min_connections: int = option("DB_POOL_MIN_CONN", 2, "Connections kept open.", integer(0, 1000))
    pool_max_connections: int = option("DB_POOL_MAX_CONN", 10, "Connections a process may hold.", integer(1, 1000))

    def problems(self) -> list[str]:
        problems = []
        if self.pool_min_connections > self.pool_max_connections:
            problems.append(
                f"DB_POOL_MIN_CONN ({self.pool_min_connections}) must not exceed "
                f"DB_POOL_MAX_CONN ({self.pool_max_connections})"
            )
        if bool(self.tls_client_cert_path) != bool(self.tls_client_key_path):
            problems.append("DB_TLS_CLIENT_CERT_PATH and DB_TLS_CLIENT_KEY_PATH must be set together")
        return problems


@dataclasses.dataclass(frozen=True, slots=True)
class ServerSettings:
    """The two HTTP applications"""

    bind_address: str = option("SERVER_BIND_ADDRESS", "0.0.0.0", "Address they listen on.", required_text)  # noqa: S104 - an appliance serves its network
    tls_cert_path: Path | None = option(
        "SERVER_TLS_CERT_PATH", None, "Certificate; serves TLS when set.", optional_path
    )
    tls_key_path: Path | None = option("SERVER_TLS_KEY_PATH", None, "Key of the certificate.", optional_path)
    tls_client_ca_path: Path | None = option(
        "SERVER_TLS_CLIENT_CA_PATH", None, "When set, clients must show a certificate signed by it.", optional_path
    )

    def problems(self) -> list[str]:
        if bool(self.tls_cert_path) != bool(self.tls_key_path):
            return ["SERVER_TLS_CERT_PATH and SERVER_TLS_KEY_PATH must be set together"]
        if self.tls_client_ca_path and not self.tls_cert_path:
            return ["SERVER_TLS_CLIENT_CA_PATH needs SERVER_TLS_CERT_PATH and SERVER_TLS_KEY_PATH"]
        return []


@dataclasses.dataclass(frozen=True, slots=True)
class MonitoringSettings:
    """Metrics and health endpoints of the workers"""

    bind_address: str = option(
        "METRICS_BIND_ADDRESS", "0.0.0.0", "Address the workers' metrics and health ports listen on.", required_text  # noqa: S104 - Prometheus is elsewhere
    )  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class QueueSettings:
    """Names of the queues"""

    ingest_queue: str = option("INGEST_QUEUE_NAME", "mutt:ingest_queue", "List of accepted events.", required_text)
    alert_queue: str = option("ALERT_QUEUE_NAME", "mutt:alert_queue", "List of alerts to forward.", required_text)
    alerter_dlq: str = option("ALERTER_DLQ_NAME", "mutt:dlq:alerter", "The alerter's dead letters.", required_text)
    moog_dlq: str = option("MOOG_DLQ_NAME", "mutt:dlq:moog", "The forwarder's dead letters.", required_text)


@dataclasses.dataclass(frozen=True, slots=True)
class IngestSettings:
    """Ingestor"""

    port: int = option("SERVER_PORT_INGESTOR", 8080, "Port of the ingest API.", port)
    workers: int = option("INGEST_WORKERS", 2, "gunicorn worker processes.", integer(1, 128))
    max_queue_size: int = option(
        "MAX_INGEST_QUEUE_SIZE", 1_000_000, "Events the ingest queue may hold before sources are told to wait.",
        integer(1, 1_000_000_000),
    )  # fmt: skip
    required_fields: tuple[str, ...] = option(
        "REQUIRED_MESSAGE_FIELDS",
        ("timestamp", "message", "hostname"),
        "Fields every event must have.",
        required_fields,
    )
    max_body_bytes: int = option(
        "INGEST_MAX_BODY_BYTES", 8 * 1024 * 1024, "Largest request body as sent.", integer(1024, 1024**3)
    )
    max_unpacked_bytes: int = option(
        "INGEST_MAX_UNPACKED_BYTES", 32 * 1024 * 1024, "Largest request body once unpacked.", integer(1024, 4 * 1024**3)
    )
    max_message_bytes: int = option(
        "INGEST_MAX_MESSAGE_BYTES",
        64 * 1024,
        "A longer message is cut and marked truncated.",
        integer(256, 16 * 1024**2),
    )
    max_event_age_days: int = option(
        "INGEST_MAX_EVENT_AGE_DAYS", 3650, "An older timestamp is taken for a wrong clock.", integer(1, 36500)
    )
    max_clock_ahead_seconds: int = option(
        "INGEST_MAX_CLOCK_AHEAD", 86400, "A timestamp further ahead than this is taken for a wrong clock.",
        integer(0, 31536000),
    )  # fmt: skip
    wait_replicas: int = option(
        "INGEST_WAIT_REPLICAS",
        0,
        "Replicas of Redis that must have an event before it is answered 202.",
        integer(0, 16),
    )
    max_batch_events: int = option(
        "INGEST_MAX_BATCH_EVENTS",
        100_000,
        "Most events in one request.",
        integer(1, 10_000_000),
    )
    dead_letters_max: int = option(
        "INGEST_DLQ_MAX", 100_000, "Refused events kept in mutt:dlq:ingest.", integer(1, 100_000_000)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class AlerterSettings:
    """Alerter"""

    metrics_port: int = option("METRICS_PORT_ALERTER", 8081, "Port of /metrics.", port)
    health_port: int = option("HEALTH_PORT_ALERTER", 8082, "Port of /health.", port)
    workers: int = option("ALERTER_WORKERS", 1, "Worker processes.", integer(1, 128))
    lanes: int = option("ALERTER_LANES", 2, "Batches a worker process has in hand at once.", integer(1, 64))
    batch_size: int = option("ALERTER_BATCH_SIZE", 1000, "Events claimed at once.", integer(1, 10000))
    processing_prefix: str = option(
        "ALERTER_PROCESSING_LIST_PREFIX",
        "mutt:processing:alerter",
        "Prefix of the lists of claimed events.",
        required_text,
    )
    heartbeat_prefix: str = option(
        "ALERTER_HEARTBEAT_PREFIX", "mutt:heartbeat:alerter", "Prefix of the workers' heartbeats.", required_text
    )
    heartbeat_interval_seconds: float = option(
        "ALERTER_HEARTBEAT_INTERVAL", 10.0, "Seconds between heartbeats.", number(0.1, 3600)
    )
    janitor_timeout_seconds: float = option(
        "ALERTER_JANITOR_TIMEOUT", 30.0, "Seconds without a heartbeat after which a worker's events go to others.",
        number(0.5, 3600),
    )  # fmt: skip
    max_retries: int = option(
        "ALERTER_MAX_RETRIES", 3, "Failures of one event before it is a dead letter.", integer(1, 100)
    )
    wait_seconds: float = option(
        "BRPOPLPUSH_TIMEOUT", 5.0, "Longest wait for a message in one Redis command.", number(0.1, 60)
    )
    cache_reload_interval_seconds: float = option(
        "CACHE_RELOAD_INTERVAL", 300.0, "Seconds between reloads of the rules.", number(1, 86400)
    )
    unhandled_prefix: str = option(
        "UNHANDLED_PREFIX", "mutt:unhandled", "Prefix of the counters of events that no rule matched.", required_text
    )
    unhandled_threshold: int = option(
        "UNHANDLED_THRESHOLD",
        100,
        "Unmatched events of one pattern that raise a meta-alert.",
        integer(1, 1_000_000_000),
    )
    unhandled_expiry_seconds: int = option(
        "UNHANDLED_EXPIRY_SECONDS", 86400, "Seconds after which such a counter starts anew.", integer(1, 31536000)
    )
    unhandled_default_team: str = option(
        "UNHANDLED_DEFAULT_TEAM", "NETO", "Team that meta-alerts go to.", required_text
    )

    def problems(self) -> list[str]:
        return heartbeat_problems("ALERTER", self.heartbeat_interval_seconds, self.janitor_timeout_seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class ForwarderSettings:
    """Forwarder to Moogsoft"""

    metrics_port: int = option("METRICS_PORT_MOOG", 8083, "Port of /metrics.", port)
    health_port: int = option("HEALTH_PORT_MOOG", 8084, "Port of /health.", port)
    lanes: int = option("MOOG_LANES", 16, "Requests a forwarder may have under way at once.", integer(1, 1024))
    processing_prefix: str = option(
        "MOOG_PROCESSING_LIST_PREFIX", "mutt:processing:moog", "Prefix of the lists of claimed alerts.", required_text
    )
    heartbeat_prefix: str = option(
        "MOOG_HEARTBEAT_PREFIX", "mutt:heartbeat:moog", "Prefix of the forwarders' heartbeats.", required_text
    )
    heartbeat_interval_seconds: float = option(
        "MOOG_HEARTBEAT_INTERVAL", 10.0, "Seconds between heartbeats.", number(0.1, 3600)
    )
    janitor_timeout_seconds: float = option(
        "MOOG_JANITOR_TIMEOUT", 30.0, "Seconds without a heartbeat after which a forwarder's alerts go to others.",
        number(0.5, 3600),
    )  # fmt: skip
    wait_seconds: float = option(
        "BRPOPLPUSH_TIMEOUT", 5.0, "Longest wait for a message in one Redis command.", number(0.1, 60)
    )

    def problems(self) -> list[str]:
        return heartbeat_problems("MOOG", self.heartbeat_interval_seconds, self.janitor_timeout_seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The Moogsoft webhook"""

    url: str = option(
        "MOOG_WEBHOOK_URL",
        "",
        "The URL that alerts are posted to; required by the forwarder and remediation.",
        http_url,
        required=True,
    )
    timeout_seconds: float = option("MOOG_WEBHOOK_TIMEOUT", 10.0, "Longest a whole request may take.", number(0.1, 300))
    rate_limit: int = option(
        "MOOG_RATE_LIMIT", 50, "Requests per period, all forwarders together.", integer(1, 1_000_000)
    )
    rate_period_seconds: float = option("MOOG_RATE_PERIOD", 1.0, "The period.", number(0.1, 3600))
    rate_limit_key: str = option(
        "MOOG_RATE_LIMIT_KEY", "mutt:rate_limit:moog", "Redis key of the shared rate limit.", required_text
    )
    max_retries: int = option(
        "MOOG_MAX_RETRIES", 5, "Failures of one alert before it is a dead letter.", integer(1, 1000)
    )
    retry_base_delay_seconds: float = option("MOOG_RETRY_BASE_DELAY", 1.0, "First retry delay.", number(0.01, 3600))
    retry_max_delay_seconds: float = option("MOOG_RETRY_MAX_DELAY", 60.0, "Longest retry delay.", number(0.01, 86400))
    format: str = option(
        "MOOG_FORMAT", "enterprise", "Payload: enterprise (an object with events) or cloud (a bare array).",
        choice("enterprise", "cloud"),
    )  # fmt: skip
    auth: str = option(
        "MOOG_AUTH", "", "How MOOG_API_KEY is sent; bearer when empty, apikey for the cloud format.",
        choice("", "bearer", "basic", "apikey", "body", "none"),
    )  # fmt: skip
    ca_cert_path: Path | None = option(
        "MOOG_CA_CERT_PATH", None, "CA that signed the webhook's certificate; the system's when empty.", optional_path
    )

    def problems(self) -> list[str]:
        if self.format == "cloud" and self.auth == "body":
            return ["MOOG_AUTH=body needs MOOG_FORMAT=enterprise: a bare array has no place for auth_token"]
        return []


@dataclasses.dataclass(frozen=True, slots=True)
class RemediationSettings:
    """Remediation"""

    metrics_port: int = option("METRICS_PORT_REMEDIATION", 8086, "Port of /metrics.", port)
    health_port: int = option("HEALTH_PORT_REMEDIATION", 8087, "Port of /health.", port)
    scan_interval_seconds: float = option(
        "REMEDIATION_SCAN_INTERVAL", 60.0, "Seconds between looks at the dead letters.", number(0.1, 86400)
    )
    max_retries: int = option(
        "REMEDIATION_MAX_RETRIES", 3, "Replays of one dead letter before it is poison.", integer(0, 1000)
    )
    backoff_base_seconds: float = option(
        "REMEDIATION_BACKOFF_BASE",
        60.0,
        "A dead letter waits this long times the number of the replay.",
        number(0, 86400),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class WebUISettings:
    """Web UI"""

    port: int = option("SERVER_PORT_WEBUI", 8090, "Port of the API and the dashboard.", port)
    workers: int = option("WEBUI_WORKERS", 1, "gunicorn worker processes.", integer(1, 128))
    metrics_cache_ttl_seconds: float = option(
        "METRICS_CACHE_TTL", 5.0, "Seconds that figures on the dashboard may be old.", number(0, 3600)
    )
    audit_log_page_size: int = option(
        "AUDIT_LOG_PAGE_SIZE", 50, "Entries on a page of a list when the caller does not say.", integer(1, 200)
    )
    prometheus_url: str = option(
        "PROMETHEUS_URL",
        "http://localhost:9090",
        "Prometheus that service level objectives are read from; while it cannot be asked, MUTT's own counters are.",
        http_url,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """Upkeep: partitions, retention and archives"""

    precreate_months: int = option(
        "RETENTION_PRECREATE_MONTHS", 3, "Months ahead of this one that have their partitions already.", integer(0, 24)
    )
    event_audit_days: int = option(
        "RETENTION_EVENT_AUDIT_DAYS", 90,
        "A month of the event audit and the delivery log leaves the database when all of it is older.",
        integer(1, 36500),
    )  # fmt: skip
    dead_letter_days: int = option(
        "RETENTION_DLQ_DAYS", 30, "Older dead letters leave Redis; 0 keeps them for ever.", integer(0, 36500)
    )
    poison_days: int = option(
        "RETENTION_POISON_DAYS", 90,
        "Dead letters in mutt:poison:permanent that failed longer ago leave Redis; 0 keeps them for ever.",
        integer(0, 36500),
    )  # fmt: skip
    drop_dead_letters: bool = option(
        "RETENTION_DLQ_DROP", False,
        "Remove old dead letters also where RETENTION_ARCHIVE_ENABLED=false; otherwise they are counted and stay.",
        boolean,
    )  # fmt: skip
    archive_enabled: bool = option(
        "RETENTION_ARCHIVE_ENABLED", True, "Write what leaves into an archive first. Without, it is gone.", boolean
    )
    archive_dir: Path = option(
        "RETENTION_ARCHIVE_DIR", Path("/var/lib/mutt/archive"), "Folder of the archives; it may be on NFS.", path
    )
    archive_years: int = option(
        "RETENTION_ARCHIVE_YEARS", 7, "Years an archive is kept; 0 keeps it for ever.", integer(0, 1000)
    )
    batch_rows: int = option(
        "RETENTION_BATCH_ROWS", 50_000,
        "Rows moved out of the default partition at once; writers wait meanwhile, for a second or two.",
        integer(1, 10_000_000),
    )  # fmt: skip
    lock_timeout_seconds: float = option(
        "RETENTION_LOCK_TIMEOUT", 2.0,
        "Longest that writers may queue behind upkeep waiting for a table; it lets them pass and tries again.",
        number(0.1, 60),
    )  # fmt: skip


def heartbeat_problems(prefix: str, interval: float, timeout: float) -> list[str]:
    if interval * 2 > timeout:
        rule = f"must be at least twice {prefix}_HEARTBEAT_INTERVAL ({interval:g})"
        why = "or one late heartbeat costs a living worker its batch"
        return [f"{prefix}_JANITOR_TIMEOUT ({timeout:g}) {rule}, {why}"]
    return []


# --- the settings, by program ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """Every setting of this host, for whoever looks at all programs at once: the diagnosis and the dynamic settings.

    A value that cannot be used is left at its default and has a sentence in ``mistakes``.
    """

    general: GeneralSettings
    credentials: CredentialSettings
    redis: RedisSettings
    database: DatabaseSettings
    server: ServerSettings
    monitoring: MonitoringSettings
    queues: QueueSettings
    ingest: IngestSettings
    alerter: AlerterSettings
    forwarder: ForwarderSettings
    webhook: WebhookSettings
    remediation: RemediationSettings
    webui: WebUISettings
    mistakes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Ingestor:
    general: GeneralSettings
    tracing: TracingSettings
    credentials: CredentialSettings
    redis: RedisSettings
    server: ServerSettings
    queues: QueueSettings
    ingest: IngestSettings


@dataclasses.dataclass(frozen=True, slots=True)
class WebUI:
    general: GeneralSettings
    credentials: CredentialSettings
    redis: RedisSettings
    database: DatabaseSettings
    server: ServerSettings
    queues: QueueSettings
    webui: WebUISettings
    host: Host


@dataclasses.dataclass(frozen=True, slots=True)
class Alerter:
    general: GeneralSettings
    tracing: TracingSettings
    credentials: CredentialSettings
    redis: RedisSettings
    database: DatabaseSettings
    monitoring: MonitoringSettings
    queues: QueueSettings
    alerter: AlerterSettings


@dataclasses.dataclass(frozen=True, slots=True)
class Forwarder:
    general: GeneralSettings
    tracing: TracingSettings
    credentials: CredentialSettings
    redis: RedisSettings
    database: DatabaseSettings
    monitoring: MonitoringSettings
    queues: QueueSettings
    forwarder: ForwarderSettings
    webhook: WebhookSettings


@dataclasses.dataclass(frozen=True, slots=True)
class Remediation:
    general: GeneralSettings
    credentials: CredentialSettings
    redis: RedisSettings
    monitoring: MonitoringSettings
    queues: QueueSettings
    webhook: WebhookSettings
    remediation: RemediationSettings


@dataclasses.dataclass(frozen=True, slots=True)
class Admin:
    """What ``mutt-admin`` needs for the commands that work on the host itself (db, config check)."""

    general: GeneralSettings
    credentials: CredentialSettings
    database: DatabaseSettings


@dataclasses.dataclass(frozen=True, slots=True)
class Upkeep:
    """What ``mutt-admin upkeep`` needs."""

    general: GeneralSettings
    credentials: CredentialSettings
    redis: RedisSettings
    database: DatabaseSettings
    queues: QueueSettings
    maintenance: MaintenanceSettings


GROUPS: tuple[type, ...] = (
    GeneralSettings, TracingSettings, CredentialSettings, RedisSettings, DatabaseSettings, ServerSettings,
    MonitoringSettings, QueueSettings, IngestSettings, AlerterSettings, ForwarderSettings, WebhookSettings,
    RemediationSettings, WebUISettings, MaintenanceSettings,
)  # fmt: skip

Program = TypeVar("Program", Ingestor, WebUI, Alerter, Forwarder, Remediation, Admin, Upkeep)


def known_variables() -> dict[str, dataclasses.Field[Any]]:
    """Every variable MUTT reads, with the field that holds it."""
    return {field.metadata["variable"]: field for group in GROUPS for field in dataclasses.fields(group)}


# --- reading them ---------------------------------------------------------------------------------------------


def read_env_file(file: Path) -> tuple[dict[str, str], list[str]]:
    """The assignments of a systemd EnvironmentFile and one sentence for every line that is not one.

    Quotes and backslashes mean what they mean to systemd for the values MUTT has; a missing file is empty.
    """
    try:
        content = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{file} cannot be read: {error}"]
    values, problems = {}, []
    for line_number, line in enumerate(content.replace("\\\n", "").splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        variable, equals, value = stripped.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable.strip()):
            problems.append(f"{file} line {line_number} is not KEY=VALUE")
            continue
        try:
            values[variable.strip()] = _unquote(value.strip())
        except ValueError:
            problems.append(f"{file} line {line_number}: {variable.strip()} has an unclosed quote")
    return values, problems


_ESCAPED = {"": re.compile(r"\\(.)"), '"': re.compile(r"\\([\"\\`$])")}
"""What a backslash stands before: outside quotes anything, inside double quotes only these."""


def _unquote(value: str) -> str:
    """The value as systemd reads it. Raises ValueError when a quote is not closed."""
    quote = value[:1] if value[:1] in ("'", '"') else ""
    if not quote:
        return _ESCAPED[""].sub(r"\1", value)
    closing = re.match(r"'([^']*)'$" if quote == "'" else r'"((?:[^"\\]|\\.)*)"$', value)
    if not closing:
        raise ValueError("unclosed quote")
    return closing[1] if quote == "'" else _ESCAPED['"'].sub(r"\1", closing[1])


def load(program: type[Program], environ: Mapping[str, str] = os.environ, env_file: Path | None = None) -> Program:
    """The settings of one program. Raises ConfigurationError with every mistake, not only the first."""
    values, problems = _variables(environ, env_file)
    groups: dict[str, Any] = {}
    for program_field in dataclasses.fields(program):
        group_type: Any = program_field.type
        if group_type is Host:
            # A mistake in another program's settings must not stop this one.
            groups[program_field.name] = _host(values, problems)
            continue
        group, group_problems = _read_group(group_type, values)
        groups[program_field.name] = group
        problems += group_problems
    if problems:
        raise ConfigurationError(problems)
    return program(**groups)


def survey(environ: Mapping[str, str] = os.environ, env_file: Path | None = None) -> Host:
    """All settings as far as they can be read, with the mistakes beside them. Never raises."""
    return _host(*_variables(environ, env_file))


def _variables(environ: Mapping[str, str], env_file: Path | None) -> tuple[dict[str, str], list[str]]:
    """Every variable with its value, and one sentence for each that has no meaning."""
    file = env_file or Path(environ.get("MUTT_ENV_FILE") or DEFAULT_ENV_FILE)
    from_file, problems = read_env_file(file)
    return {**from_file, **environ}, problems + _unknown_variables(from_file, environ, file)


def _host(values: Mapping[str, str], problems: list[str]) -> Host:
    read = {field.name: _read_group(field.type, values) for field in dataclasses.fields(Host) if field.type in GROUPS}
    mistakes = [*problems, *(mistake for _, mistakes in read.values() for mistake in mistakes)]
    groups: dict[str, Any] = {name: group for name, (group, _) in read.items()}
    return Host(**groups, mistakes=tuple(dict.fromkeys(mistakes)))


def load_or_exit(program: type[Program]) -> Program:
    """As ``load``; on mistakes writes every one of them to standard error and ends the process with EX_CONFIG."""
    try:
        return load(program)
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"configuration error: {problem}", file=sys.stderr)
        sys.exit(EX_CONFIG)


def _read_group(group_type: Any, values: Mapping[str, str]) -> tuple[Any, list[str]]:
    parsed, problems = {}, []
    for field in dataclasses.fields(group_type):
        variable, parse = field.metadata["variable"], field.metadata["parse"]
        value = values.get(variable)
        if not value:  # A variable set to nothing is a variable not set: that is how templates are filled in.
            if field.metadata["required"]:
                problems.append(f"{variable} is not set: {field.metadata['doc'][0].lower()}{field.metadata['doc'][1:]}")
            continue
        try:
            parsed[field.name] = parse(value)
        except ValueError as error:
            problems.append(f"{variable}={shown(variable, value)}: {error}")
    group = group_type(**parsed)
    if not problems and hasattr(group, "problems"):
        problems = group.problems()
    return group, problems


def _unknown_variables(from_file: Mapping[str, str], environ: Mapping[str, str], file: Path) -> list[str]:
    """Typing mistakes. The environment belongs to others too, so there only a near miss is reported."""
    known = [*known_variables(), "MUTT_ENV_FILE", "MUTT_BIN"]
    problems = []
    for variable in sorted({*from_file, *environ}):
        if variable in known or not variable.startswith(OWNED_PREFIXES):
            continue
        close = difflib.get_close_matches(variable, known, n=1, cutoff=0.6 if variable in from_file else 0.87)
        if variable in from_file:
            hint = f"; did you mean {close[0]}?" if close else ""
            problems.append(f"{file}: {variable} is not a setting of MUTT{hint}")
        elif close:
            problems.append(f"{variable} is not a setting of MUTT; did you mean {close[0]}?")
    return problems


def shown(variable: str, value: str) -> str:
    """The value as an error may show it: what might be a secret is not repeated."""
    if re.search(r"PASS|KEY|SECRET|TOKEN", variable) and not variable.endswith(("_PATH", "_FILE", "_LIMIT_KEY")):
        return "(not shown)"
    # A URL may hold a password before its @ and a token behind its question mark.
    value = re.sub(r"//[^/\s]*@", "//(not shown)@", re.sub(r"\?.*", "?(not shown)", value, flags=re.DOTALL))
    return repr(value if len(value) <= 80 else value[:77] + "...")
