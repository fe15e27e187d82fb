"""gunicorn, set up the way both HTTP applications need it."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gunicorn.app.base
import gunicorn.glogging

from mutt.observability import tracing
from mutt.settings import GeneralSettings, ServerSettings

KEEPALIVE_SECONDS = 65
"""Longer than the minute between a quiet relay's messages: a closed connection costs it a retry."""

_QUOTED = re.compile(r"\W*['\"].*", re.DOTALL)


class Logger(gunicorn.glogging.Logger):  # type: ignore[misc]
    """gunicorn's messages go where all others go, in the same shape."""

    def setup(self, cfg: Any) -> None:
        self._access_log_enabled = False
        self.error_log.propagate = True
        self.error_log.handlers[:] = []

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if str(msg).startswith("Invalid request"):
            # It goes on with what the client sent, which may be a line or a header with a key in it.
            msg = _QUOTED.sub("", str(msg))
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        # What it could not do is told with the URI, whose query may hold a key.
        without_query = (each.partition("?")[0] if isinstance(each, str) else each for each in args)
        super().exception(msg, *without_query, **kwargs)


class Server(gunicorn.app.base.BaseApplication):  # type: ignore[misc]
    """A gunicorn master and its gevent workers. ``make_app`` runs in each worker, after it was patched."""

    def __init__(
        self,
        make_app: Callable[[], Any],
        server: ServerSettings,
        general: GeneralSettings,
        port: int,
        workers: int,
    ) -> None:
        self._make_app = make_app
        self._options: dict[str, Any] = {
            "bind": f"{server.bind_address}:{port}",
            "workers": workers,
            "worker_class": "mutt.web.worker.ApplianceWorker",
            "worker_connections": 4000,
            "keepalive": KEEPALIVE_SECONDS,
            # A worker whose hub hangs is replaced; requests do not count, only its heartbeat.
            "timeout": 60,
            "graceful_timeout": int(general.shutdown_timeout_seconds),
            "logger_class": Logger,
            "loglevel": general.log_level.lower(),
            "proc_name": "mutt",
            # The alternative parser accepts a bare LF, which a proxy in front may read differently.
            "http_parser": "python",
            "control_socket_disable": True,
            # It would write around the socket that keeps head and body together; our files are a few kilobytes.
            "sendfile": False,
            "worker_tmp_dir": _memory_dir(),
            "child_exit": _forget_figures,
            "worker_exit": _flush_spans,
        }
        if server.tls_cert_path:
            self._options |= {"certfile": str(server.tls_cert_path), "keyfile": str(server.tls_key_path)}
            self._options["ssl_context"] = _tls_context
        if server.tls_client_ca_path:
            self._options |= {"ca_certs": str(server.tls_client_ca_path), "cert_reqs": ssl.CERT_REQUIRED}
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make_app()


def _memory_dir() -> str | None:
    """The workers' heartbeat files belong in memory: a slow disk must not look like a hung worker."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes its files unguessable


def _tls_context(config: Any, make_default: Callable[[], Any]) -> Any:
    # Called in the worker: its module imports gevent, which the master must not have.
    from mutt.web.tls import tls_context

    return tls_context(config, make_default)


def _flush_spans(_server: Any, _worker: Any) -> None:
    """The last thing a worker does: what it recorded goes to the collector, for two seconds at most."""
    tracing.stop()


def _forget_figures(_server: Any, worker: Any) -> None:
    """Gauges of a worker that is gone do not count any more."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
