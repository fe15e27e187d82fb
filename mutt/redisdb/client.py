"""Connections to Redis: TLS, Sentinel, the current password and, while it is being changed, the next one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, OutOfMemoryError, ReadOnlyError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from mutt.credentials import Credentials
from mutt.errors import OutageError, Reason
from mutt.settings import RedisSettings

CONNECT_TIMEOUT_SECONDS = 5.0
POOL_WAIT_SECONDS = 5.0


class _Passwords:
    """Makes a connection try the current password, then the next one, as rotation needs it."""

    def __init__(self, *args: Any, mutt_credentials: Credentials, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._credentials = mutt_credentials

    def connect(self) -> None:
        passwords = self._credentials.candidates("REDIS_PASS")
        for last, password in enumerate(passwords or ("",), start=1 - len(passwords or ("",))):
            self.password = password or None
            try:
                super().connect()  # type: ignore[misc]
            except AuthenticationError:
                if last == 0:
                    raise
            else:
                return


class _Connection(_Passwords, redis.Connection):
    pass


class _SSLConnection(_Passwords, redis.SSLConnection):
    pass


class _WholeAnswers:
    """redis-py keeps a Sentinel's connection open when a read is cut short; the late answer would be the next one's."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        return super().read_response(*args, **{**kwargs, "disconnect_on_error": True})  # type: ignore[misc]


class _SentinelConnection(_WholeAnswers, _Passwords, SentinelManagedConnection):
    pass


class _SentinelSSLConnection(_WholeAnswers, _Passwords, SentinelManagedSSLConnection):
    pass


class _BlockingSentinelPool(SentinelConnectionPool):
    """Sentinel's pool, asked by name for our connections; it raises when exhausted, so the maximum is generous."""


def connect(
    settings: RedisSettings, credentials: Credentials, client_name: str, blocking_seconds: float = 0
) -> redis.Redis:
    """A client that connects when it is first used and never retries by itself.

    ``blocking_seconds`` is the longest time a command may block in Redis; the socket waits a little longer than that.
    """
    options: dict[str, Any] = {
        "mutt_credentials": credentials,
        "client_name": client_name,
        "socket_timeout": max(5.0, blocking_seconds + 2.0),
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    tls = _tls_options(settings)
    if settings.sentinel_hosts:
        return redis.Redis(connection_pool=_sentinel_pool(settings, options, tls))
    pool = redis.BlockingConnectionPool(
        connection_class=_SSLConnection if tls else _Connection,
        max_connections=settings.max_connections,
        timeout=POOL_WAIT_SECONDS,
        host=settings.host,
        port=settings.port,
        **options,
        **tls,
    )
    return redis.Redis(connection_pool=pool)


def _tls_options(settings: RedisSettings) -> dict[str, Any]:
    if not settings.tls_enabled:
        return {}
    options: dict[str, Any] = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    if settings.ca_cert_path:
        options["ssl_ca_certs"] = str(settings.ca_cert_path)
    if settings.client_cert_path:
        options |= {"ssl_certfile": str(settings.client_cert_path), "ssl_keyfile": str(settings.client_key_path)}
    return options


def _sentinel_pool(settings: RedisSettings, options: dict[str, Any], tls: dict[str, Any]) -> SentinelConnectionPool:
    # The Sentinels are asked over the same transport, without our password: they have their own.
    sentinel = Sentinel(list(settings.sentinel_hosts), socket_timeout=1.0, **({"ssl": True, **tls} if tls else {}))
    return _BlockingSentinelPool(
        settings.sentinel_master,
        sentinel,
        connection_class=_SentinelSSLConnection if tls else _SentinelConnection,
        max_connections=settings.max_connections,
        check_connection=True,
        **options,
        **tls,
    )


@contextmanager
def outages() -> Iterator[None]:
    """Translates what redis-py raises inside the block into OutageError."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise translate(error) from error


def translate(error: Exception) -> OutageError:
    """What the error means to MUTT: which kind of outage it is, in a word and in a sentence."""
    text = str(error)
    if isinstance(error, BusyLoadingError) or text.startswith("LOADING"):
        return OutageError(Reason.REDIS_LOADING, "Redis is still loading its data")
    if isinstance(error, OutOfMemoryError) or "OOM command not allowed" in text:
        return OutageError(Reason.REDIS_FULL, "Redis is at maxmemory")
    if "MISCONF" in text:
        return OutageError(Reason.REDIS_FULL, "Redis cannot write to its disk")
    if isinstance(error, ReadOnlyError) or "READONLY" in text or "NOREPLICAS" in text:
        return OutageError(Reason.REDIS_READONLY, "Redis takes no writes: it is a replica, or lacks one")
    if isinstance(error, AuthenticationError):
        return OutageError(Reason.REDIS_UNREACHABLE, "Redis refuses the password")
    return OutageError(Reason.REDIS_UNREACHABLE, f"Redis cannot be used: {text or type(error).__name__}")
