"""make up, down and run as a person meets them: the real servers and programs, started through the Makefile.

Each stack has a folder (STACK_DIR) and ports of its own, so a stack that somebody is using here is left alone.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests

from load.stack.layout import Layout
from load.stack.ports import HEALTH_PORTS, PROGRAM_PORTS, SERVER_PORTS
from load.stack.processes import identify
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
UP_SECONDS = 300
DEV_ENV_NAMES = {
    "MUTT_INGEST_URL", "MUTT_ADMIN_URL", "INGEST_API_KEY", "WEBUI_API_KEY",
    "REDIS_URL", "DATABASE_URL", "MOOG_SINK_URL",
}  # fmt: skip


class Stack:
    """One stack in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-stack-"))
        self.ports = _free_ports(*PROGRAM_PORTS, *SERVER_PORTS)
        settings = {variable: str(port) for variable, port in self.ports.items()}
        self.environ = {**os.environ, **settings, "STACK_DIR": str(self.folder)}

    def make(self, target: str, **changes: str) -> subprocess.CompletedProcess[str]:
        environ = {**self.environ, **changes}
        return subprocess.run(
            ["make", target], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=UP_SECONDS, check=False
        )

    @property
    def dev(self) -> dict[str, str]:
        lines = (self.folder / "dev.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    def pids(self) -> dict[str, int]:
        """The processes that the stack recorded, by name."""
        return {file.name: int(file.read_text().split()[0]) for file in (self.folder / "run" / "pids").iterdir()}

    def processes(self) -> list[int]:
        """Living processes that were started with this stack's settings, or that hold one of its ports."""
        marker = f"MUTT_ENV_FILE={self.folder}/".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if marker in (process / "environ").read_bytes() and identify(int(process.name)):
                    found.append(int(process.name))
        return found

    def open_ports(self) -> list[str]:
        return [variable for variable, port in self.ports.items() if _listens(port)]

    def remove(self) -> None:
        self.make("down")
        layout = Layout(ROOT, self.folder)
        shutil.rmtree(layout.away, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_ports(*variables: str) -> dict[str, int]:
    with contextlib.ExitStack() as held:
        ports = {}
        for variable in variables:  # All are held until all are found, so none is found twice.
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports[variable] = probe.getsockname()[1]
        return ports


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    stack = Stack()
    outcome = stack.make("up", UNHANDLED_THRESHOLD="3")
    try:
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        yield stack
    finally:
        stack.remove()


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack that is not up yet."""
    stack = Stack()
    yield stack
    stack.remove()


def ingest(stack: Stack, *events: dict[str, Any]) -> requests.Response:
    url = f"{stack.dev['MUTT_INGEST_URL']}/api/v2/ingest"
    return requests.post(url, json=list(events), headers={"X-API-KEY": stack.dev["INGEST_API_KEY"]}, timeout=20)


def event(message: str) -> dict[str, Any]:
    return {"timestamp": "2026-01-02T03:04:05Z", "hostname": "core-rtr-01", "message": message, "syslog_severity": 2}


def received(stack: Stack) -> list[dict[str, Any]]:
    answer = requests.get(f"{stack.dev['MOOG_SINK_URL']}/received", timeout=5).json()
    alerts: list[dict[str, Any]] = answer["alerts"]
    assert answer["count"] == len(alerts)
    return alerts


# --- up --------------------------------------------------------------------------------------------------------------


def test_up_returns_with_all_five_programs_healthy(running: Stack) -> None:
    for variable in HEALTH_PORTS.values():
        answer = requests.get(f"http://127.0.0.1:{running.ports[variable]}/health", timeout=5)
        assert answer.status_code == 200, answer.text


def test_up_writes_what_is_needed_to_use_the_stack(running: Stack) -> None:
    assert set(running.dev) == DEV_ENV_NAMES
    for name in ("dev.env", "mutt.env", "secrets.env"):
        assert (running.folder / name).stat().st_mode & 0o777 == 0o600


def test_up_again_changes_nothing(running: Stack) -> None:
    before = running.pids()
    outcome = running.make("up")
    assert outcome.returncode == 0
    assert "up already" in outcome.stdout
    assert running.pids() == before


def test_up_with_other_settings_is_refused_while_it_is_up(running: Stack) -> None:
    outcome = running.make("up", UNHANDLED_THRESHOLD="4")
    assert outcome.returncode != 0
    assert "UNHANDLED_THRESHOLD=4" in outcome.stderr
    assert "make down" in outcome.stderr


def test_an_event_goes_from_http_to_the_audit_log_and_the_receiver(running: Stack) -> None:
    text = "%SYS-2-TEST: CRITICAL: power supply 2 has failed"
    assert ingest(running, event(text)).status_code == 202
    alert = wait_until(lambda: [a for a in received(running) if text in a["description"]], "the alert", seconds=30)
    assert len(alert) == 1
    with contextlib.closing(psycopg2.connect(running.dev["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event_audit_log WHERE message = %s", [text])
        assert cursor.fetchone() == (1,)


def test_settings_of_the_callers_environment_reach_the_programs(running: Stack) -> None:
    """The stack was started with UNHANDLED_THRESHOLD=3: the third event that no rule matches raises a meta-alert."""
    answer = ingest(running, *(event(f"nobody has a rule for widget {number}") for number in range(3)))
    assert answer.status_code == 202
    wait_until(lambda: [a for a in received(running) if a["source"] == "mutt"], "the meta-alert", seconds=30)


def test_no_secret_is_on_a_command_line(running: Stack) -> None:
    secrets = {value for name, value in running.dev.items() if name.endswith("_KEY")}
    secrets |= set(re.findall(r":([^:@/]+)@", running.dev["REDIS_URL"] + " " + running.dev["DATABASE_URL"]))
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_text(errors="replace")
            assert not any(secret in line for secret in secrets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
def test_the_servers_run_without_privileges(running: Stack) -> None:
    for name in ("redis", "postgres"):
        assert Path(f"/proc/{running.pids()[name]}").stat().st_uid != 0


@pytest.mark.parametrize("fault", ["drop", "withhold", "garbage"])
def test_the_receiver_can_break_the_connection(running: Stack, fault: str) -> None:
    sink = running.dev["MOOG_SINK_URL"]
    assert requests.put(f"{sink}/behaviour", json={fault: True, "times": 1}, timeout=5).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{sink}/elsewhere", json={"description": fault, "source": "test"}, timeout=5)
    assert requests.post(f"{sink}/elsewhere", json=[], timeout=5).status_code == 200
    taken = [alert for alert in received(running) if alert["description"] == fault]
    assert len(taken) == (1 if fault == "withhold" else 0)


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_taken_port_is_named_with_the_variable_that_moves_it(stack: Stack) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        outcome = stack.make("up", HEALTH_PORT_MOOG=str(port))
    assert outcome.returncode != 0
    assert f"port {port} is taken" in outcome.stderr
    assert "HEALTH_PORT_MOOG" in outcome.stderr
    assert stack.processes() == []


def test_a_configuration_error_is_shown_and_nothing_is_left_running(stack: Stack) -> None:
    outcome = stack.make("up", ALERTER_BATCH_SIZE="many")
    assert outcome.returncode != 0
    assert "mutt-alerter" in outcome.stderr
    assert "ALERTER_BATCH_SIZE" in outcome.stderr
    assert stack.processes() == []
    assert stack.open_ports() == []


# --- down ------------------------------------------------------------------------------------------------------------


def test_down_ends_everything_also_what_killed_processes_left_behind(stack: Stack) -> None:
    outcome = stack.make("up")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    os.kill(stack.pids()["supervisord"], signal.SIGKILL)
    assert stack.processes() != [], "the programs outlive their supervisor"
    assert stack.make("down").returncode == 0
    assert stack.processes() == []
    assert stack.open_ports() == []
    again = stack.make("down")
    assert again.returncode == 0
    assert "Nothing was running" in again.stdout


# --- run -------------------------------------------------------------------------------------------------------------


def test_run_shows_alerts_until_ctrl_c_and_leaves_nothing_behind(stack: Stack) -> None:
    process = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=stack.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    try:
        wait_until(
            lambda: process.poll() is not None or re.search(r"critical.*CRITICAL", "".join(lines)),
            "an alert to be shown",
            seconds=UP_SECONDS,
        )
        output = "".join(lines)
        assert process.poll() is None, output
        assert stack.dev["MUTT_ADMIN_URL"] in output
        assert stack.dev["WEBUI_API_KEY"] in output
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)  # As a terminal does on Ctrl-C: make and all its children get it.
        process.wait(timeout=120)
    reader.join(10)
    assert "Everything has been stopped." in "".join(lines)
    assert stack.processes() == []
    assert stack.open_ports() == []
