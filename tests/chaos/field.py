"""The appliance as the rows use it: a fleet of two forwarders, short leases, and everything observable at rest."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import redis
import requests

from tests.chaos.accounting import Stock
from tests.chaos.processes import children, is_running, memory_mb
from tests.support.appliance import PROGRAMS, Appliance
from tests.support.postgres import ROLE, PrivatePostgres
from tests.support.redis_server import PrivateRedis, free_port
from tests.support.waiting import wait_until

LEASE_SECONDS = 3.0
JANITOR_SECONDS = LEASE_SECONDS / 4
LANES = 4
SECOND_FORWARDER = "mutt-forwarder-2"
WORKERS = ("mutt-alerter", "mutt-forwarder", SECOND_FORWARDER)
"""Programs whose child processes hold leases."""

SETTINGS = {
    "INGEST_WORKERS": "2",
    "ALERTER_WORKERS": "2",
    # Smaller batches than the default: more of them are in hand at more different moments.
    "ALERTER_BATCH_SIZE": "200",
    "MOOG_LANES": str(LANES),
    "MOOG_RATE_LIMIT": "400",
    "MOOG_RETRY_BASE_DELAY": "0.2",
    "BRPOPLPUSH_TIMEOUT": "1",
    "REMEDIATION_SCAN_INTERVAL": "0.5",
    # Long enough that dead letters lie still while they are counted.
    "REMEDIATION_BACKOFF_BASE": "30",
    "MUTT_SHUTDOWN_TIMEOUT": "5",
    "LOG_JSON_ENABLED": "true",
}


class Field(Appliance):
    """A running appliance; ``settings`` differ from SETTINGS. ``pycache`` makes restarts as quick as installed code."""

    def __init__(self, redis_server: Any, postgres: PrivatePostgres, pycache: Path, **settings: str) -> None:
        super().__init__(redis_server, postgres, **{**SETTINGS, **settings})
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environ["PYTHONPYCACHEPREFIX"] = str(pycache)
        self._second = {name: str(free_port()) for name in ("HEALTH_PORT_MOOG", "METRICS_PORT_MOOG")}
        self._second["MUTT_RUN_DIR"] = str(self.folder / "run-2")

    # --- starting and stopping ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Returns when every /health answers 200 and the webhook listens."""
        self.redis().flushall()
        self._run_admin("db", "migrate")
        self._spawn("receiver", [sys.executable, "-m", "tests.chaos.receiver", "--port", str(self.sink_port)])
        for program in (*PROGRAMS, SECOND_FORWARDER):
            self.start_program(program)
        self.wait_healthy(60)

    def start_program(self, program: str) -> None:
        if program != SECOND_FORWARDER:
            super().start_program(program)
            return
        command = [sys.executable, "-m", "mutt.workers", "mutt-forwarder"]
        with (self.folder / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(command, env={**self.environ, **self._second}, stdout=log, stderr=log)
        self._processes[program] = process

    def stop_program(self, program: str) -> None:
        process = self.process(program)
        process.terminate()
        process.wait(timeout=30)

    def dispose(self) -> None:
        """Ends everything this field started, gently or not, and removes its files and its database."""
        try:
            with contextlib.suppress(AssertionError):
                self.stop()
        finally:
            for process in self._processes.values():
                for pid in (*children(process.pid), process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        if is_running(pid):
                            subprocess.run(["kill", "-KILL", str(pid)], check=False)
                process.wait()
            self.redis_server.stop()
            with contextlib.suppress(Exception):  # PostgreSQL may be what the row broke; its server is thrown away.
                self.postgres.execute(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def without(self, program: str) -> Iterator[None]:
        """While in here the program is stopped."""
        self.stop_program(program)
        try:
            yield
        finally:
            self.start_program(program)
            self.wait_healthy(40)

    def configure(self, **values: int | str | None) -> None:
        """Sets dynamic settings, or unsets those that are None, and tells the programs."""
        client = self.redis()
        for name, value in values.items():
            if value is None:
                client.delete(f"mutt:config:{name}")
            else:
                client.set(f"mutt:config:{name}", value)
        client.publish("mutt:config:updates", "chaos")

    def cut_database_sessions(self) -> int:
        """Ends every session of the programs in PostgreSQL; how many there were."""
        statement = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND usename = %s"
        with closing(psycopg2.connect(self.postgres.admin_dsn())) as connection, connection.cursor() as cursor:
            cursor.execute(statement, (self.database, ROLE))
            return int(cursor.fetchone()[0])

    # --- looking --------------------------------------------------------------------------------------------------

    def health(self, program: str) -> tuple[int, Any]:
        if program == SECOND_FORWARDER:
            return self._get(f"http://127.0.0.1:{self._second['HEALTH_PORT_MOOG']}/health")
        return super().health(program)

    def unhealthy(self) -> dict[str, Any]:
        """What /health says of each program that is not well."""
        answers = {program: self.health(program) for program in (*PROGRAMS, SECOND_FORWARDER)}
        return {program: body for program, (status, body) in answers.items() if status != 200}

    def wait_healthy(self, seconds: float) -> None:
        give_up_at = time.monotonic() + seconds
        while troubles := self.unhealthy():
            assert time.monotonic() < give_up_at, f"not healthy after {seconds:g} s: {troubles}"
            time.sleep(0.1)
        wait_until(lambda: self._get(f"{self.sink_url}/health")[0] == 200, "the receiver to answer", seconds=20)

    def figure(self, line: str) -> float:
        """One metric, added up over the alerter and both forwarders."""
        ports = (self.ports["METRICS_PORT_ALERTER"], self.ports["METRICS_PORT_MOOG"], self._second["METRICS_PORT_MOOG"])
        total = 0.0
        for port in ports:
            with contextlib.suppress(requests.RequestException):
                text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
                total += sum(float(x.rpartition(" ")[2]) for x in text.splitlines() if x.startswith(line + " "))
        return total

    def fenced(self) -> int:
        return int(self.figure("mutt_queue_fenced_batches_total"))

    def workers_of(self, program: str) -> list[int]:
        """The child processes of a program: those that do its work."""
        return children(self.process(program).pid)

    def memory_mb(self, *programs: str) -> float:
        """Memory of all processes of the programs."""
        pids = [pid for name in programs for pid in (self.process(name).pid, *self.workers_of(name))]
        return memory_mb(pids)

    def in_hand(self, pid: int) -> dict[str, int]:
        """Messages in each batch that the process has claimed and not settled."""
        client = self.redis()
        keys = list(client.scan_iter(f"mutt:processing:*-{pid}-*", count=1000))
        return {key.decode(): int(client.llen(key)) for key in keys}

    def letters(self) -> int:
        client = self.redis()
        return int(client.llen("mutt:dlq:alerter") + client.llen("mutt:dlq:moog"))

    # --- at rest --------------------------------------------------------------------------------------------------

    def is_at_rest(self, with_letters: bool = True) -> bool:
        """Whether nothing waits, is in hand or will be replayed. ``with_letters``: remediation must be done as well."""
        try:
            return self.is_idle() and (not with_letters or self.letters() == 0)
        except (redis.RedisError, OSError):
            return False

    def wait_until_at_rest(self, seconds: float, with_letters: bool = True) -> float:
        """Seconds it took. Raises AssertionError that says what still lies where."""
        started = time.monotonic()
        give_up_at = started + seconds
        while not (self.is_at_rest(with_letters) and self.is_at_rest(with_letters)):
            assert time.monotonic() < give_up_at, f"not at rest after {seconds:g} s: {self.whereabouts()}"
            time.sleep(0.05)
        return time.monotonic() - started

    def whereabouts(self) -> dict[str, int]:
        """How many messages lie under which key."""
        client = self.redis()
        found: dict[str, int] = {}
        for key in sorted(client.scan_iter("mutt:*", count=1000)):
            if key.startswith((b"mutt:processing:", b"mutt:dlq:", b"mutt:ingest_queue", b"mutt:alert_queue")):
                found[key.decode()] = client.llen(key)
            elif key.startswith(b"mutt:retry:"):
                found[key.decode()] = client.zcard(key)
        return found

    def take_stock(self) -> Stock:
        """What is where. Only good when the field is at rest."""
        stock, client = Stock(), self.redis()
        for correlation_id, rows in self.query(
            "SELECT correlation_id::text, count(*) FROM event_audit_log GROUP BY correlation_id"
        ):
            stock.audited[correlation_id] = rows
        stock.take_letters(client.lrange("mutt:dlq:alerter", 0, -1), stock.event_letters)
        stock.take_letters(client.lrange("mutt:dlq:moog", 0, -1), stock.alert_letters)
        stock.take_letters(client.lrange("mutt:poison:permanent", 0, -1), stock.poison)
        stock.take_requests(self.webhook_requests())
        return stock

    def webhook_requests(self, since: int = 0) -> list[Any]:
        """What the receiver noted of each request: [time, outcome, ids, ids of meta-alerts]."""
        return list(requests.get(f"{self.sink_url}/ledger?since={since}", timeout=60).json())


def private_redis() -> PrivateRedis:
    server = PrivateRedis()
    server.start()
    return server
