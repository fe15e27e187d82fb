"""Settings that operators change while everything runs: stored in Redis, followed by every program.

Reading a value never asks Redis: a greenlet keeps them fresh, every five seconds and on the message that a change
publishes. While Redis is away the last known values hold.
"""

from collections.abc import Callable
from dataclasses import dataclass

import gevent
import redis
import structlog

from mutt.errors import OutageError
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.redisdb.subscriber import Subscriber
from mutt.settings import Parser, choice, integer, number

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 5.0

Value = int | float | str


@dataclass(frozen=True, slots=True)
class DynamicKey:
    """What a key may hold and what it does."""

    parse: Parser
    doc: str


DYNAMIC_KEYS = {
    "cache_reload_interval": DynamicKey(integer(1, 86400), "Seconds between reloads of the alerter's rules."),
    "max_ingest_queue_size": DynamicKey(integer(1, 1_000_000_000), "Events the ingest queue may hold."),
    "moog_rate_limit": DynamicKey(integer(1, 1_000_000), "Requests per period to the webhook."),
    "moog_batch_size": DynamicKey(integer(1, 10_000), "Alerts in one request to the webhook."),
    "alerter_queue_warn_threshold": DynamicKey(integer(1, 1_000_000_000), "Alert queue depth that is warned about."),
    "alerter_queue_shed_threshold": DynamicKey(integer(1, 1_000_000_000), "Alert queue depth at which load is shed."),
    "alerter_shed_mode": DynamicKey(choice("dlq", "defer"), "How load is shed."),
    "alerter_defer_sleep_ms": DynamicKey(integer(1, 60_000), "Milliseconds to wait in mode defer."),
    "slo_window_hours": DynamicKey(integer(1, 720), "Hours an SLO is judged over."),
    "slo_ingest_success_target": DynamicKey(number(0, 1), "Share of ingest requests that shall succeed."),
    "slo_forward_success_target": DynamicKey(number(0, 1), "Share of webhook requests that shall succeed."),
}


class DynamicConfig:
    """The dynamic settings as one program sees them. Disabled, every key is unset."""

    def __init__(self, client: redis.Redis, enabled: bool) -> None:
        self._client = client
        self._enabled = enabled
        self._values: dict[str, Value] = {}
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        self._subscriber = Subscriber(client, {keys.CONFIG_UPDATES: self._changed})
        self._greenlet: gevent.Greenlet | None = None

    def integer(self, name: str, default: int) -> int:
        """The value of a whole-number key, or the default while it is not set."""
        value = self._values.get(name, default)
        return value if isinstance(value, int) else default

    def text(self, name: str, default: str) -> str:
        """The value of a text key, or the default while it is not set."""
        return str(self._values.get(name, default))

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
        names = list(DYNAMIC_KEYS)
        with outages():
            stored = self._client.mget([keys.config(name) for name in names])
        values = {
            name: value for name, raw in zip(names, stored, strict=True) if (value := _parse(name, raw)) is not None
        }
        changed = {name for name in names if values.get(name) != self._values.get(name)}
        self._values = values
        for name in changed:
            log.info("dynamic setting changed", key=name, value=values.get(name, "(default)"))
            for callback in self._callbacks.get(name, []):
                callback()

    def _keep_fresh(self) -> None:
        while True:
            self._changed("")
            gevent.sleep(REFRESH_SECONDS)

    def _changed(self, _name: str) -> None:
        try:
            self.refresh()
        except OutageError as error:
            log.debug("dynamic settings not read", reason=error.reason)


def _parse(name: str, raw: bytes | str | None) -> Value | None:
    if raw is None:
        return None
    try:
        value: Value = DYNAMIC_KEYS[name].parse(raw.decode() if isinstance(raw, bytes) else raw)
    except ValueError as error:
        # Somebody wrote it with redis-cli; the default is safer than a guess.
        log.warning("dynamic setting ignored", key=name, problem=str(error))
        return None
    return value
