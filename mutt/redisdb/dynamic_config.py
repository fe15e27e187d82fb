"""Settings that operators change while everything runs: stored in Redis, followed by every program.

Reading a value never asks Redis: a greenlet keeps them fresh, every five seconds and on the message that a change
publishes. While Redis is away the last known values hold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import gevent
import redis
import structlog

from mutt.errors import OutageError
from mutt.observability import logs
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.redisdb.subscriber import Subscriber
from mutt.settings import GeneralSettings, Parser, choice, integer, number

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 5.0

Value = int | float | str

ALL_PROGRAMS = ("mutt-ingestor", "mutt-webui", "mutt-alerter", "mutt-forwarder", "mutt-remediation")


@dataclass(frozen=True, slots=True)
class DynamicKey:
    """What a key may hold, what it does, and who follows it.

    While it is unset the ``default`` holds or, where ``variable`` names one, what mutt.env says.
    """

    parse: Parser
    default: Value
    doc: str
    programs: tuple[str, ...]
    variable: str = ""

    @property
    def type(self) -> str:
        return {int: "integer", float: "number", str: "text"}[type(self.default)]


DYNAMIC_KEYS = {
    "cache_reload_interval": DynamicKey(
        integer(1, 86400), 300, "Seconds between reloads of the alerter's rules.", ("mutt-alerter",),
        "CACHE_RELOAD_INTERVAL",
    ),
    "max_ingest_queue_size": DynamicKey(
        integer(1, 1_000_000_000), 1_000_000, "Events the ingest queue may hold.", ("mutt-ingestor",),
        "MAX_INGEST_QUEUE_SIZE",
    ),
    "moog_rate_limit": DynamicKey(
        integer(1, 1_000_000), 50, "Requests per period to the webhook.", ("mutt-forwarder",), "MOOG_RATE_LIMIT"
    ),
    "moog_batch_size": DynamicKey(
        integer(1, 10_000), 100, "Alerts in one request to the webhook.", ("mutt-forwarder",)
    ),
    "alerter_queue_warn_threshold": DynamicKey(
        integer(1, 1_000_000_000), 1000, "Alert queue depth that is warned about.", ("mutt-alerter", "mutt-remediation")
    ),
    "alerter_queue_shed_threshold": DynamicKey(
        integer(1, 1_000_000_000), 2000, "Alert queue depth at which load is shed.", ("mutt-alerter",)
    ),
    "alerter_shed_mode": DynamicKey(choice("dlq", "defer"), "dlq", "How load is shed.", ("mutt-alerter",)),
    "alerter_defer_sleep_ms": DynamicKey(
        integer(1, 60_000), 250, "Milliseconds to wait in mode defer.", ("mutt-alerter",)
    ),
    "slo_window_hours": DynamicKey(integer(1, 720), 24, "Hours an SLO is judged over.", ("mutt-webui",)),
    "slo_ingest_success_target": DynamicKey(
        number(0, 1), 0.995, "Share of ingest requests that shall succeed.", ("mutt-webui",)
    ),
    "slo_forward_success_target": DynamicKey(
        number(0, 1), 0.99, "Share of webhook requests that shall succeed.", ("mutt-webui",)
    ),
    "log_level": DynamicKey(
        choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "How much is logged.", ALL_PROGRAMS, "LOG_LEVEL"
    ),
}  # fmt: skip


class DynamicConfig:
    """The dynamic settings as one program sees them. Disabled, every key is unset."""

    def __init__(self, client: redis.Redis, enabled: bool) -> None:
        self._client = client
        self._enabled = enabled
        self._values: dict[str, Value] = {}
        self._ignored: dict[str, object] = {}
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        self._subscriber = Subscriber(client, {keys.CONFIG_UPDATES: self._changed})
        self._greenlet: gevent.Greenlet | None = None

    @property
    def enabled(self) -> bool:
        """DYNAMIC_CONFIG_ENABLED."""
        return self._enabled

    def integer(self, name: str, default: int | None = None) -> int:
        """The value of a whole-number key; while it is not set the given default, or the key's own."""
        value = self._values.get(name, _or_own(name, default))
        assert isinstance(value, int)  # noqa: S101 - a key of another type is a mistake in the caller
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """The value of a key that holds a number; while it is not set the given default, or the key's own."""
        return float(self._values.get(name, _or_own(name, default)))

    def text(self, name: str, default: str | None = None) -> str:
        """The value of a text key; while it is not set the given default, or the key's own."""
        return str(self._values.get(name, _or_own(name, default)))

    def on_change(self, name: str, callback: Callable[[], None]) -> None:
        """Has ``callback`` called after the key changed."""
        self._callbacks.setdefault(name, []).append(callback)

    def start(self) -> None:
        if self._enabled:
            self._subscriber.start()
            self._greenlet = gevent.spawn(self._keep_fresh)

    def stop(self) -> None:
        self._subscriber.stop()
        if self._greenlet:
            self._greenlet.kill()

    def refresh(self) -> None:
        """Reads every key now. Raises OutageError and keeps the last values when Redis is away."""
        stored = read_stored(self._client)
        values = {name: value for name, raw in stored.items() if (value := self._usable(name, raw)) is not None}
        changed = {name for name in DYNAMIC_KEYS if values.get(name) != self._values.get(name)}
        self._values = values
        for name in changed:
            log.info("dynamic setting changed", key=name, value=values.get(name, "(default)"))
            for callback in self._callbacks.get(name, []):
                callback()

    def _usable(self, name: str, raw: str | None) -> Value | None:
        """The stored value, or None: somebody wrote it with redis-cli, and the default is safer than a guess."""
        try:
            value = None if raw is None else parse(name, raw)
        except ValueError as error:
            if self._ignored.get(name) != raw:
                log.warning("dynamic setting ignored", key=name, problem=str(error))
                self._ignored[name] = raw
            return None
        self._ignored.pop(name, None)
        return value

    def _keep_fresh(self) -> None:
        while True:
            self._changed("")
            gevent.sleep(REFRESH_SECONDS)

    def _changed(self, _name: str) -> None:
        try:
            self.refresh()
        except OutageError as error:
            log.debug("dynamic settings not read", reason=error.reason)


def start_dynamic_config(client: redis.Redis, general: GeneralSettings) -> DynamicConfig:
    """The dynamic settings of a program, followed from now on; the program's log level follows them too."""
    dynamic = DynamicConfig(client, general.dynamic_config_enabled)
    dynamic.on_change("log_level", lambda: logs.set_level(dynamic.text("log_level", general.log_level)))
    dynamic.start()
    return dynamic


def read_stored(client: redis.Redis) -> Mapping[str, str | None]:
    """What is stored under every key, usable or not; None where nothing is. Raises OutageError."""
    with outages():
        stored = client.mget([keys.config(name) for name in DYNAMIC_KEYS])
    return {
        name: raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        for name, raw in zip(DYNAMIC_KEYS, stored, strict=True)
    }


def parse(name: str, raw: str) -> Value:
    """The value that the text means. Raises ValueError with what the key accepts."""
    value: Value = DYNAMIC_KEYS[name].parse(raw)
    return value


def _or_own(name: str, default: Value | None) -> Value:
    return DYNAMIC_KEYS[name].default if default is None else default
