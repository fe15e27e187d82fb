"""What the measurements run on: a Redis, a PostgreSQL and the programs of their own, gone when the block ends."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from load.bench import cpu
from load.bench.costs import Spent
from load.bench.generator import Job, Outcome
from load.bench.settings import ALERT_QUEUE, DYNAMIC, INGEST_QUEUE, PORTS, PROGRAMS, SETTINGS
from load.bench.sink import Stats
from load.stack import servers
from load.stack.console import StackError, run_logged, tail
from load.stack.layout import ROOT, Layout, create_data_folder, server_account
from load.stack.processes import Service, until
from load.stack.programs import health
from mutt.store import rules
from mutt.store.rules import RuleValues

READY_SECONDS = 60.0

_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy of the surroundings knows nothing of our loopback."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_on_signals() -> None:
    """A stop from now on runs the ends of all blocks, so that what was started is ended, by its pid."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))


class Rig:
    """The servers, and whatever is started on them. Use ``rig()``, which ends it all."""

    def __init__(self) -> None:
        self.layout = Layout(ROOT, Path(tempfile.mkdtemp(prefix="mutt-bench-")))
        self.layout.create()
        self.redis_port, self.db_port, self.sink_port = free_port(), free_port(), free_port()
        self.ports = {name: free_port() for name in PORTS}
        self.password, self.key = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self.services: dict[str, Service] = {}
        self._account = server_account()
        self._data = create_data_folder(self.layout, self._account)

    # --- the servers ------------------------------------------------------------------------------------------

    def start_servers(self) -> None:
        values = {"DB_PORT": str(self.db_port), "DB_USER": "mutt_user", "DB_NAME": "mutt_db"}
        servers.start_redis(self.layout, self._data, self._account, self.redis_port, self.password)
        self.services["redis"] = servers.redis_service(self.layout)
        servers.start_postgres(self.layout, self._data, self._account, values, self.password)
        self.services["postgres"] = servers.postgres_service(self.layout)
        self._write_secrets()
        migrate = [sys.executable, "-c", "from mutt.cli.main import main; main()", "db", "migrate"]
        run_logged(migrate, self.layout.logs / "migrate.log", self.environ(), ROOT)

    def stop(self) -> None:
        for name in reversed(list(self.services)):
            self.stop_service(name)
        for folder in (self._data, self.layout.var):
            shutil.rmtree(folder, ignore_errors=True)

    def stop_service(self, name: str) -> None:
        self.services.pop(name).stop()

    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.redis_port, password=self.password, retry=Retry(NoBackoff(), 0))

    @contextlib.contextmanager
    def database(self) -> Iterator["psycopg2.extensions.connection"]:
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    @property
    def dsn(self) -> str:
        return f"postgresql://mutt_user:{self.password}@127.0.0.1:{self.db_port}/mutt_db"

    def create_database(self, name: str) -> str:
        """The address of a new, empty database."""
        self._as_superuser(f"CREATE DATABASE {name} OWNER mutt_user")
        return self.dsn.replace("/mutt_db", f"/{name}")

    def drop_database(self, name: str) -> None:
        self._as_superuser(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _as_superuser(self, statement: str) -> None:
        connection = psycopg2.connect(host=str(self._data), port=self.db_port, user="postgres", dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with self.database() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def empty(self, rule_set: Sequence[RuleValues]) -> None:
        """An empty Redis but for the dynamic settings, an empty audit log, and exactly these rules."""
        client = self.redis()
        client.flushall()
        for name, value in DYNAMIC.items():
            client.set(f"mutt:config:{name}", value)
        with self.database() as connection, connection.cursor() as cursor:
            cursor.execute("TRUNCATE event_audit_log, alert_delivery_log, alert_rules")
            rules.insert(cursor, rule_set)
        self._as_superuser("CHECKPOINT")  # What the last measurement wrote is not to be paid by the next.

    # --- the programs -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def running(self, *names: str, sink_latency_ms: float = 0.0, **settings: str) -> Iterator[None]:
        """While in here these programs run, healthy, and a sink takes their alerts."""
        started = ["sink", *names]
        try:
            sink = ["-m", "load.bench.sink", "--port", str(self.sink_port), "--latency-ms", str(sink_latency_ms)]
            self.start("sink", [sys.executable, *sink], os.environ)
            for name in names:
                module = PROGRAMS[name][0]
                self.start(name, [sys.executable, "-m", *module], self.environ(settings))
            self.wait("sink", lambda: self.sink_stats() is not None)
            for name in names:
                self.wait(name, lambda port=self.ports[PROGRAMS[name][1]]: health(f"http://127.0.0.1:{port}/health")[0])
            yield
        finally:
            for name in reversed(started):
                if name in self.services:
                    self.services[name].ask_to_stop()
            for name in reversed(started):
                if name in self.services:
                    self.stop_service(name)

    def start(self, name: str, argv: Sequence[str], environ: Mapping[str, str], cwd: Path = ROOT) -> Service:
        """Starts any process as a service of the rig; its CPU is counted under the name."""
        service = Service(self.layout, name, grace_seconds=40)
        self.services[name] = service
        service.start(argv, {**environ, "PYTHONPATH": str(ROOT)}, cwd=cwd)
        return service

    def wait(self, name: str, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        self.services[name].wait_until(ready, seconds)

    def pid(self, name: str) -> int:
        recorded = self.services[name].recorded
        if recorded is None:
            raise StackError(f"{name} was not started")
        return recorded.pid

    def spent(self) -> Spent:
        return Spent({name: self.pid(name) for name in self.services})

    def memory_mb(self, name: str) -> float:
        """Of the program's largest process: a parent or a master does little."""
        return max(cpu.memory_mb(pid) for pid in cpu.tree_of(self.pid(name)))

    def environ(self, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PROMETHEUS_", "MUTT_"))}
        return {
            **inherited,
            **SETTINGS,
            "PYTHONPATH": str(ROOT),
            "MUTT_ENV_FILE": str(self.layout.var / "none.env"),
            "MUTT_RUN_DIR": str(self.layout.run),
            "MUTT_SECRETS_FILE": str(self.layout.secrets_env),
            "REDIS_PORT": str(self.redis_port),
            "DB_PORT": str(self.db_port),
            "MOOG_WEBHOOK_URL": f"http://127.0.0.1:{self.sink_port}/webhook",
            **{name: str(port) for name, port in self.ports.items()},
            **(settings or {}),
        }

    def _write_secrets(self) -> None:
        names = {"INGEST_API_KEY": self.key, "WEBUI_API_KEY": self.key, "MOOG_API_KEY": self.key}
        names |= {"REDIS_PASS_CURRENT": self.password, "DB_PASS_CURRENT": self.password}
        self.layout.secrets_env.touch(mode=0o600)
        self.layout.secrets_env.write_text("".join(f"{name}={value}\n" for name, value in names.items()))

    # --- load and what came of it -----------------------------------------------------------------------------

    def ingest_job(self, **parts: Any) -> Job:
        """A job for the ingestor; ``parts`` are its bodies, seconds, connections and what else it wants."""
        return Job(self.ports["SERVER_PORT_INGESTOR"], "/api/v2/ingest", headers={"X-API-KEY": self.key}, **parts)

    def fire(self, job: Job) -> Outcome:
        """Runs the generator in a process of its own. Raises StackError when it does not come to its end."""
        file = self.layout.var / "job.json"
        file.write_bytes(msgspec.json.encode(job))
        command = [sys.executable, "-m", "load.bench.generator", str(file)]
        try:
            done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=job.seconds + 90, check=False)
        except subprocess.TimeoutExpired as error:
            raise StackError("the generator did not end") from error
        if done.returncode != 0:
            raise StackError(f"the generator failed:\n{done.stderr.decode()[-2000:]}\n{self.last_words()}")
        return msgspec.json.decode(done.stdout, type=Outcome)

    def last_words(self) -> str:
        return "\n".join(f"{name}:\n{tail(service.log, 5)}" for name, service in self.services.items())

    def sink_stats(self, forget: bool = False) -> Stats | None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.sink_port}/stats", method="DELETE" if forget else "GET"
        )
        try:
            with _DIRECTLY.open(request, timeout=30) as answer:
                return msgspec.json.decode(answer.read(), type=Stats)
        except OSError:
            return None

    def received(self) -> Stats:
        return self.sink_stats() or Stats()

    def use_rules(self) -> None:
        """Returns when the alerter judges by the rules that are stored now."""
        stored = float(self.query("SELECT count(*) FROM alert_rules")[0][0])
        self.redis().publish("mutt:rules:updates", "bench")
        self.wait("mutt-alerter", lambda: self._rules_known() == stored)

    def _rules_known(self) -> float:
        address = f"http://127.0.0.1:{self.ports['METRICS_PORT_ALERTER']}/metrics"
        with _DIRECTLY.open(address, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        known = [line for line in lines if line.startswith("mutt_alerter_cache_rules_count ")]
        return float(known[0].split()[1]) if known else -1.0

    def audited(self) -> int:
        return int(self.query("SELECT count(*) FROM event_audit_log")[0][0])

    def waiting(self, *queues: str) -> int:
        """Messages in the queues, the retry sets and anybody's hands."""
        client = self.redis()
        waiting = sum(client.llen(name) for name in queues or (INGEST_QUEUE, ALERT_QUEUE))
        waiting += client.zcard("mutt:retry:alerter") + client.zcard("mutt:retry:moog")
        return int(waiting + sum(client.llen(key) for key in client.scan_iter("mutt:processing:*", count=1000)))

    def drain(self, seconds: float, *queues: str) -> float:
        """Waits until nothing waits any more; how long that took. Raises StackError when it takes too long."""
        began = time.monotonic()
        for _ in until(seconds, 0.02):
            if self.waiting(*queues) == 0:
                return time.monotonic() - began
        raise StackError(f"{self.waiting(*queues)} messages still wait after {seconds:g} s\n{self.last_words()}")


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    """Servers that are up; everything that was started on them ends with the block."""
    made = Rig()
    try:
        made.start_servers()
        yield made
    finally:
        made.stop()
