"""The parent of a program's worker processes: it owns the ports, starts the children and passes signals on.

However many children there are, a program has one /metrics and one /health, and its figures are complete. The parent
does no work of its own, so /health answers even when a child's hub is stuck.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import falcon
import gevent
import structlog
from gevent.event import Event as Flag
from gevent.os import tp_read
from gevent.pywsgi import WSGIServer
from prometheus_client.multiprocess import mark_process_dead

from mutt.errors import EX_CONFIG, MuttError
from mutt.web import health, problems
from mutt.web.gauges import Read, refresh
from mutt.web.health import Check
from mutt.web.monitoring import HealthResource, MetricsResource

log = structlog.get_logger(__name__)

PORT_RETRY_SECONDS = 1.0

SILENT_SECONDS = 5.0
"""A child reports every second; after so long without a line its hub is stuck."""

LONGEST_RESTART_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0
"""A child that lived this long is restarted at once when it dies."""


class Child:
    """One worker process, restarted for ever unless it ends with a configuration error."""

    def __init__(self, program: str, index: int, stopping: Flag) -> None:
        self._command = [sys.executable, "-m", "mutt.workers", program, "--child"]
        self._index = index
        self._stopping = stopping
        self._process: subprocess.Popen[bytes] | None = None
        self.heard_at = 0.0
        self.state = "starting"

    def run(self) -> int:
        """Keeps the process running until we stop; returns its last exit code."""
        pause = 0.0
        while True:
            started = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set() or code == EX_CONFIG:
                return code
            steady = time.monotonic() - started > STEADY_SECONDS
            pause = 0.1 if steady else min(max(pause * 2, 0.1), LONGEST_RESTART_PAUSE_SECONDS)
            log.error("worker process ended; restarting it", code=code, pause_seconds=pause)
            self.state = f"ended with code {code}; restarting"
            if self._stopping.wait(pause):
                return code

    def signal(self, number: int) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def problem(self) -> str | None:
        """Why this process does not work, or None when it does."""
        if self._process is None or self._process.poll() is not None:
            return f"worker {self._index} is not running"
        silent = time.monotonic() - self.heard_at
        if silent > SILENT_SECONDS:
            return f"worker {self._index} has been silent for {silent:.0f} s"
        return None if self.state == "working" else f"worker {self._index} is paused: {self.state}"

    def _run_once(self) -> int:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        try:
            self._process = subprocess.Popen([*self._command, str(writing)], pass_fds=(writing,))
        finally:
            os.close(writing)
        self.heard_at, self.state = time.monotonic(), "starting"
        listener = gevent.spawn(self._listen, reading)
        code = self._process.wait()
        # Gauges of a process that is gone do not count any more; its counters do.
        mark_process_dead(self._process.pid)
        listener.join(timeout=1)
        listener.kill()
        os.close(reading)
        return code

    def _listen(self, reading: int) -> None:
        while lines := tp_read(reading, 4096):
            self.state = lines.decode("ascii", "replace").splitlines()[-1]
            self.heard_at = time.monotonic()


class Parent:
    """A program's first process."""

    def __init__(
        self,
        program: str,
        workers: int,
        stop_seconds: float,
        checks: Mapping[str, Check],
        gauges: Sequence[Read],
    ) -> None:
        self._program = program
        self._stop_seconds = stop_seconds
        self._checks = {**checks, "workers": self._check_children}
        self._gauges = gauges
        self._stopping = Flag()
        self._children = [Child(program, index, self._stopping) for index in range(workers)]

    def run(self, bind_address: str, health_port: int, metrics_port: int) -> int:
        """Runs until told to stop; returns the exit code of the program."""
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._stopping.set)
        gevent.signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        servers = [
            _serve(bind_address, health_port, "/health", HealthResource(self._health)),
            _serve(bind_address, metrics_port, "/metrics", MetricsResource(lambda: refresh(self._gauges))),
        ]
        running = [gevent.spawn(child.run) for child in self._children]
        gevent.spawn(self._stop_when_hopeless, running)
        self._stopping.wait()
        self._stop_children(running)
        for server in servers:
            server.stop(timeout=1)
        return EX_CONFIG if any(greenlet.value == EX_CONFIG for greenlet in running) else 0

    def _stop_when_hopeless(self, running: Sequence[gevent.Greenlet]) -> None:
        """A child that ends by itself for good met a configuration error: no restart would help."""
        gevent.wait(running, count=1)
        self._stopping.set()

    def _stop_children(self, running: Sequence[gevent.Greenlet]) -> None:
        self._pass_on(signal.SIGTERM)
        gevent.joinall(running, timeout=self._stop_seconds + 2)
        self._pass_on(signal.SIGKILL)
        gevent.joinall(running, timeout=2)

    def _pass_on(self, number: int) -> None:
        for child in self._children:
            child.signal(number)

    def _health(self) -> tuple[int, dict[str, Any]]:
        return health.report(self._program, self._checks)

    def _check_children(self) -> str:
        troubles = [problem for child in self._children if (problem := child.problem())]
        if troubles:
            raise MuttError("; ".join(troubles))
        return f"{len(self._children)} working"


def _serve(address: str, port: int, path: str, resource: Any) -> WSGIServer:
    app = falcon.App()
    app.add_error_handler(falcon.HTTPError, problems.handle_http_error)
    app.add_route(path, resource)
    server = WSGIServer((address, port), app, log=None, error_log=_PywsgiLog())
    try:
        server.start()
    except OSError as error:
        log.critical("cannot listen", address=address, port=port, problem=os.strerror(error.errno or 0))
        # supervisor starts us again at once; the port will not be free so soon.
        gevent.sleep(PORT_RETRY_SECONDS)
        sys.exit(1)
    return server


class _PywsgiLog:
    """Where gevent's small HTTP server writes: its lines are about clients that went away."""

    def write(self, text: str) -> None:
        if text.strip():
            log.debug("http server", text=text.strip())
