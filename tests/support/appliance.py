"""The whole appliance as real processes: Redis, PostgreSQL, a receiver and the five programs, for system tests."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redis
import requests

from tests.support.postgres import PASSWORD as DB_PASSWORD
from tests.support.postgres import ROLE, PrivatePostgres
from tests.support.redis_server import PASSWORD as REDIS_PASSWORD
from tests.support.redis_server import PrivateRedis, free_port
from tests.support.waiting import wait_until

INGEST_KEY = "ingest-key-for-tests"
WEBUI_KEY = "webui-key-for-tests"
MOOG_KEY = "moog-key-for-tests"

PROGRAMS = {
    "mutt-ingestor": ("mutt.ingest", "SERVER_PORT_INGESTOR"),
    "mutt-webui": ("mutt.admin", "SERVER_PORT_WEBUI"),
    "mutt-alerter": ("mutt.workers", "HEALTH_PORT_ALERTER"),
    "mutt-forwarder": ("mutt.workers", "HEALTH_PORT_MOOG"),
    "mutt-remediation": ("mutt.workers", "HEALTH_PORT_REMEDIATION"),
}
PORTS = (
    "SERVER_PORT_INGESTOR", "SERVER_PORT_WEBUI", "HEALTH_PORT_ALERTER", "METRICS_PORT_ALERTER", "HEALTH_PORT_MOOG",
    "METRICS_PORT_MOOG", "HEALTH_PORT_REMEDIATION", "METRICS_PORT_REMEDIATION",
)  # fmt: skip


class Appliance:
    """``settings`` are variables of mutt.env that differ from what the tests usually want."""

    def __init__(self, redis_server: PrivateRedis, postgres: PrivatePostgres, **settings: str) -> None:
        self.redis_server = redis_server
        self.postgres = postgres
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-appliance-"))
        self.database = postgres.create_database()
        self.ports = {name: free_port() for name in PORTS}
        self.sink_port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._write_secrets()
        self.environ = self._environ(settings)

    def start(self, programs: Iterable[str] = tuple(PROGRAMS)) -> None:
        """Returns when /health of every program answers 200."""
        self.redis_server.client().flushall()
        self._run_admin("db", "migrate")
        self._spawn("receiver", [sys.executable, "-m", "load.receiver", "--port", str(self.sink_port)])
        for program in programs:
            self.start_program(program)
        for program in programs:
            wait_until(lambda name=program: self.health(name)[0] == 200, f"{program} to be healthy", seconds=40)
        wait_until(lambda: self._get(f"{self.sink_url}/health")[0] == 200, "the receiver to answer", seconds=20)

    def start_program(self, program: str) -> None:
        module, _ = PROGRAMS[program]
        arguments = [program] if module == "mutt.workers" else []
        self._spawn(program, [sys.executable, "-m", module, *arguments])

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for name, process in self._processes.items():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{name} did not stop: {self.log(name)[-2000:]}") from None

    def process(self, name: str) -> "subprocess.Popen[bytes]":
        return self._processes[name]

    # --- talking to it --------------------------------------------------------------------------------------

    @property
    def ingest_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['SERVER_PORT_INGESTOR']}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['SERVER_PORT_WEBUI']}"

    @property
    def sink_url(self) -> str:
        return f"http://127.0.0.1:{self.sink_port}"

    def post(self, body: Any = None, path: str = "/api/v2/ingest", **options: Any) -> requests.Response:
        """POSTs to the ingestor: a dict or list as JSON, bytes as they are."""
        headers = {"X-API-KEY": INGEST_KEY, **options.pop("headers", {})}
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        return requests.post(self.ingest_url + path, headers=headers, timeout=30, **content, **options)

    def health(self, program: str) -> tuple[int, Any]:
        return self._get(f"http://127.0.0.1:{self.ports[PROGRAMS[program][1]]}/health")

    def received(self) -> list[dict[str, Any]]:
        return list(requests.get(f"{self.sink_url}/received", timeout=30).json()["alerts"])

    def behave(self, **behaviour: Any) -> None:
        requests.put(f"{self.sink_url}/behaviour", json=behaviour, timeout=10).raise_for_status()

    def redis(self) -> redis.Redis:
        return self.redis_server.client()

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg2.connect(self.postgres.dsn(self.database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def reload_rules(self) -> None:
        """Publishes a change of the rules, as the API does, and waits until the alerter has seen it."""
        line = "mutt_alerter_cache_rules_count"
        expected = float(self.query("SELECT count(*) FROM alert_rules WHERE is_active")[0][0])
        self.redis().publish("mutt:rules:updates", "changed")
        wait_until(lambda: self.metric("METRICS_PORT_ALERTER", line) == expected, "the rules to be reloaded")

    def metric(self, port: str, line: str) -> float:
        """The value of one line of a program's exposition, 0 when it is not there."""
        text = requests.get(f"http://127.0.0.1:{self.ports[port]}/metrics", timeout=10).text
        return next((float(each.rpartition(" ")[2]) for each in text.splitlines() if each.startswith(line + " ")), 0.0)

    def is_idle(self) -> bool:
        """Whether nothing lies in a queue, a retry set or anybody's hands."""
        client = self.redis()
        waiting = client.llen("mutt:ingest_queue") + client.llen("mutt:alert_queue")
        waiting += client.zcard("mutt:retry:alerter") + client.zcard("mutt:retry:moog")
        return waiting == 0 and not list(client.scan_iter("mutt:processing:*", count=1000))

    def wait_until_idle(self, seconds: float = 60) -> None:
        wait_until(self.is_idle, "the queues to drain", seconds=seconds, every=0.1)

    def reset(self) -> None:
        """Back to the state after the start, as far as a test can see."""
        self.behave()
        client = self.redis()
        for key in client.scan_iter("mutt:*", count=1000):
            if not key.startswith((b"mutt:heartbeat:", b"mutt:processing:", b"mutt:done:")):
                client.delete(key)
        self.wait_until_idle()
        self.query("TRUNCATE event_audit_log, alert_delivery_log, development_hosts, device_teams")
        requests.delete(f"{self.sink_url}/received", timeout=10).raise_for_status()

    def audited(self) -> int:
        return int(self.query("SELECT count(*) FROM event_audit_log")[0][0])

    @contextmanager
    def locked_audit_log(self) -> Iterator[None]:
        """While in here nobody can write to the audit log: a batch that is claimed stays in hand."""
        with closing(psycopg2.connect(self.postgres.dsn(self.database))) as connection:
            connection.cursor().execute("LOCK TABLE event_audit_log IN ACCESS EXCLUSIVE MODE")
            yield

    def claimed_by_others(self, pid: int) -> bool:
        """Whether another process than ``pid`` holds a batch of the alerter."""
        keys = self.redis().scan_iter("mutt:processing:alerter:*", count=1000)
        return any(f"-{pid}-".encode() not in key for key in keys)

    def other_ports(self) -> dict[str, str]:
        """Ports for a second alerter, and a place for its figures."""
        ports = {name: str(free_port()) for name in ("HEALTH_PORT_ALERTER", "METRICS_PORT_ALERTER")}
        return {**ports, "MUTT_RUN_DIR": str(self.folder / "other-run")}

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # --- setting it up --------------------------------------------------------------------------------------

    def _write_secrets(self) -> None:
        secrets = {
            "INGEST_API_KEY": INGEST_KEY, "WEBUI_API_KEY": WEBUI_KEY, "MOOG_API_KEY": MOOG_KEY,
            "REDIS_PASS_CURRENT": REDIS_PASSWORD, "DB_PASS_CURRENT": DB_PASSWORD,
        }  # fmt: skip
        file = self.folder / "secrets.env"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))

    def _environ(self, settings: dict[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PROMETHEUS_", "MUTT_"))}
        return {
            **inherited,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "MUTT_ENV_FILE": str(self.folder / "none.env"),
            "MUTT_RUN_DIR": str(self.folder / "run"),
            "MUTT_SECRETS_BACKEND": "file",
            "MUTT_SECRETS_FILE": str(self.folder / "secrets.env"),
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.redis_server.port),
            "REDIS_TLS_ENABLED": "false",
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.postgres.port),
            "DB_NAME": self.database,
            "DB_USER": ROLE,
            "DB_TLS_ENABLED": "false",
            "SERVER_BIND_ADDRESS": "127.0.0.1",
            "METRICS_BIND_ADDRESS": "127.0.0.1",
            "DYNAMIC_CONFIG_ENABLED": "true",
            "INGEST_WORKERS": "1",
            "ALERTER_HEARTBEAT_INTERVAL": "1",
            "ALERTER_JANITOR_TIMEOUT": "3",
            "MOOG_HEARTBEAT_INTERVAL": "1",
            "MOOG_JANITOR_TIMEOUT": "3",
            "MOOG_WEBHOOK_URL": f"http://127.0.0.1:{self.sink_port}/webhook",
            "MOOG_WEBHOOK_TIMEOUT": "2",
            **{name: str(port) for name, port in self.ports.items()},
            **settings,
        }

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)

    def _run_admin(self, *arguments: str) -> None:
        command = [sys.executable, "-c", "from mutt.cli.main import main; main()", *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _get(self, url: str) -> tuple[int, Any]:
        try:
            answer = requests.get(url, timeout=5)
        except requests.RequestException as error:
            return 0, str(error)
        return answer.status_code, answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text
