"""``mutt-admin setup`` on a real Redis and a real PostgreSQL, from an empty folder to an event at the receiver."""

import os
import pty
import re
import select
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mutt.cli.main import main
from mutt.settings import read_env_file
from tests.support.postgres import PASSWORD as DB_PASSWORD
from tests.support.postgres import ROLE, PrivatePostgres
from tests.support.redis_server import PASSWORD as REDIS_PASSWORD
from tests.support.redis_server import PrivateRedis, free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "mutt.ingest": (), "mutt.admin": (), "mutt.workers": ("mutt-alerter",), "mutt.workers ": ("mutt-forwarder",),
    "mutt.workers  ": ("mutt-remediation",),
}  # fmt: skip
PORTS = (
    "SERVER_PORT_INGESTOR", "SERVER_PORT_WEBUI", "HEALTH_PORT_ALERTER", "METRICS_PORT_ALERTER", "HEALTH_PORT_MOOG",
    "METRICS_PORT_MOOG", "HEALTH_PORT_REMEDIATION", "METRICS_PORT_REMEDIATION",
)  # fmt: skip
DONE = "nothing was changed: this host is set up already"


class Setup:
    """A folder that stands for /etc/mutt, and the answers that lead to servers of the tests' own."""

    def __init__(self, folder: Path, redis_server: PrivateRedis, postgres: PrivatePostgres) -> None:
        self.etc = folder / "etc"
        self.answers: dict[str, Any] = {
            "settings": {
                "REDIS_HOST": "127.0.0.1", "REDIS_PORT": redis_server.port, "REDIS_TLS_ENABLED": False,
                "DB_HOST": "127.0.0.1", "DB_PORT": postgres.port, "DB_NAME": postgres.create_database(),
                "DB_USER": ROLE, "DB_TLS_ENABLED": False, "MOOG_WEBHOOK_URL": "http://127.0.0.1:9/webhook",
                # Another MUTT may run on this machine.
                **{name: free_port() for name in PORTS},
            },
            "secrets": {"REDIS_PASS_CURRENT": REDIS_PASSWORD, "DB_PASS_CURRENT": DB_PASSWORD, "MOOG_API_KEY": "moog"},
        }  # fmt: skip
        self._file = folder / "answers.yml"

    @property
    def env_file(self) -> Path:
        return self.etc / "mutt.env"

    @property
    def secrets_file(self) -> Path:
        return self.etc / "secrets/secrets.env"

    def settings(self) -> dict[str, str]:
        return read_env_file(self.env_file)[0]

    def secrets(self) -> dict[str, str]:
        return read_env_file(self.secrets_file)[0]

    def command(self, *options: str) -> list[str]:
        program = "from mutt.cli.main import main; main()"
        return [sys.executable, "-c", program, "setup", "--etc-dir", str(self.etc), *options]

    def environ(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MUTT_", "DB_"))}
        # The settings of whoever runs the tests must not reach the command.
        return {**inherited, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(self.etc), "NO_COLOR": "1"}

    def run(self, *options: str, answers: bool = True) -> Result:
        """Runs the command in this process, where nobody can be asked."""
        if answers:
            self._file.touch(mode=0o600)
            self._file.write_text(yaml.safe_dump(self.answers))
            options = ("--answers", str(self._file), *options)
        return CliRunner().invoke(main, ["setup", "--etc-dir", str(self.etc), *options], env=self.environ())

    def written(self) -> dict[Path, tuple[bytes, int]]:
        """Every file with its content and the time of its last change."""
        files = (file for file in self.etc.rglob("*") if file.is_file())
        return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


@pytest.fixture
def host(tmp_path: Path, redis_server: PrivateRedis, postgres_server: PrivatePostgres) -> Setup:
    return Setup(tmp_path, redis_server, postgres_server)


def test_it_writes_migrates_and_shows_the_keys_once(host: Setup, postgres_server: PrivatePostgres) -> None:
    done = host.run()
    assert done.exit_code == 0, done.stderr
    keys = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert set(keys) == {"INGEST_API_KEY", "WEBUI_API_KEY"}
    assert all(len(key) >= 32 for key in keys.values())
    assert host.secrets() == {**host.answers["secrets"], **keys}
    assert host.settings()["MUTT_SECRETS_FILE"] == str(host.secrets_file)
    database = host.answers["settings"]["DB_NAME"]
    assert postgres_server.execute("SELECT count(*) FROM alert_rules", database) == [(3,)]
    for value in (DB_PASSWORD, REDIS_PASSWORD, *keys.values()):
        assert value not in done.stderr
    for file in (host.env_file, host.secrets_file):
        assert stat.S_IMODE(file.stat().st_mode) & 0o007 == 0
    assert "# Settings of MUTT." in host.env_file.read_text()


def test_a_second_run_changes_nothing_and_says_so(host: Setup) -> None:
    assert host.run().exit_code == 0
    before = host.written()
    again = host.run()
    assert again.exit_code == 0, again.stderr
    assert DONE in again.stderr
    assert again.stdout == ""
    without_answers = host.run(answers=False)
    assert without_answers.exit_code == 0, without_answers.stderr
    assert DONE in without_answers.stderr
    assert host.written() == before


def test_what_stands_there_is_kept(host: Setup) -> None:
    host.secrets_file.parent.mkdir(parents=True)
    host.env_file.write_text("# Ours.\nLOG_LEVEL=DEBUG\nDB_USER=somebody\nMUTT_SECRETS_BACKEND=file\n")
    host.secrets_file.write_text("# Ours too.\nINGEST_API_KEY=in use\nWEBUI_API_KEY_VIEWER_WALL=wall\n")
    host.secrets_file.chmod(0o600)
    done = host.run()
    assert done.exit_code == 0, done.stderr
    assert host.env_file.read_text().startswith(f"# Ours.\nLOG_LEVEL=DEBUG\nDB_USER={ROLE}\n")
    assert host.secrets_file.read_text().startswith(
        "# Ours too.\nINGEST_API_KEY=in use\nWEBUI_API_KEY_VIEWER_WALL=wall"
    )
    assert done.stdout.startswith("WEBUI_API_KEY=")
    assert stat.S_IMODE(host.secrets_file.stat().st_mode) == 0o600


def test_secrets_open_to_strangers_are_closed(host: Setup) -> None:
    assert host.run().exit_code == 0
    host.secrets_file.chmod(0o644)
    done = host.run()
    assert done.exit_code == 0, done.stderr
    assert DONE not in done.stderr
    assert stat.S_IMODE(host.secrets_file.stat().st_mode) == 0o640


def test_a_dry_run_says_everything_and_writes_nothing(host: Setup) -> None:
    done = host.run("--dry-run")
    assert done.exit_code == 3, done.stderr
    assert "would set DB_HOST='127.0.0.1'" in done.stderr
    assert "would make the API key INGEST_API_KEY" in done.stderr
    assert "would apply the migration 0001" in done.stderr
    assert DB_PASSWORD not in done.stderr + done.stdout
    assert not host.etc.exists()
    assert host.run().exit_code == 0
    settled = host.run("--dry-run")
    assert settled.exit_code == 0, settled.stderr
    assert "there is nothing to do" in settled.stderr


@pytest.mark.parametrize(
    ("section", "name", "value", "code", "said"),
    [
        ("settings", "REDIS_PORT", 1, 6, "redis-cli -h 127.0.0.1 -p 1"),
        ("settings", "DB_PORT", 1, 6, "systemctl start postgresql"),
        ("secrets", "REDIS_PASS_CURRENT", "wrong", 6, "REDIS_PASS_CURRENT"),
        ("secrets", "DB_PASS_CURRENT", "wrong", 6, "DB_PASS_CURRENT"),
        ("settings", "MOOG_WEBHOOK_URL", "moogsoft", 78, "must be an http:// or https:// URL"),
        ("settings", "REDIS_PORT", "many", 78, "REDIS_PORT='many'"),
        ("settings", "REDIS_HOTS", "here", 2, "did you mean REDIS_HOST?"),
        ("settings", "MOOG_WEBHOOK_URL", None, 2, "MOOG_WEBHOOK_URL (URL of the Moogsoft webhook)"),
        ("secrets", "MOOG_API_KEY", "two\nlines", 2, "line break"),
    ],
)
def test_a_failure_names_what_to_do_and_writes_nothing(
    host: Setup, section: str, name: str, value: Any, code: int, said: str
) -> None:
    host.answers[section][name] = value
    done = host.run()
    assert done.exit_code == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not host.etc.exists()


def test_a_file_with_secrets_that_strangers_may_read_is_refused(host: Setup, tmp_path: Path) -> None:
    file = tmp_path / "open.toml"
    file.write_text('[secrets]\nDB_PASS_CURRENT = "x"\n')
    file.chmod(0o644)
    done = host.run("--answers", str(file), answers=False)
    assert done.exit_code == 2
    assert f"chmod 0600 {file}" in done.stderr


def test_a_person_is_asked_and_secrets_are_not_echoed(host: Setup) -> None:
    """At a terminal, everything but the passwords taken from TOML."""
    settings = host.answers["settings"]
    answered = {name: value for name, value in settings.items() if name not in ("MOOG_WEBHOOK_URL", "DB_USER")}
    file = host.etc.parent / "some.toml"
    file.write_text("[settings]\n" + "".join(f"{name} = {value!r}\n" for name, value in answered.items()).replace(
        "False", "false"
    ))  # fmt: skip
    parent, terminal = pty.openpty()
    with subprocess.Popen(
        host.command("--answers", str(file)), env=host.environ(), stdin=terminal, stdout=subprocess.PIPE,
        stderr=terminal, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(terminal)
        typed = {
            "Where the secrets are": "", "Role in PostgreSQL": ROLE,
            "URL of the Moogsoft": settings["MOOG_WEBHOOK_URL"],
            "Password of Redis": REDIS_PASSWORD, "Password of the role": DB_PASSWORD, "API key of the webhook": "",
        }  # fmt: skip
        shown = converse(parent, typed)
        assert process.stdout
        keys = process.stdout.read().decode()
        assert process.wait(timeout=60) == 0, shown
    assert "INGEST_API_KEY=" in keys
    assert REDIS_PASSWORD not in shown
    assert DB_PASSWORD not in shown
    assert host.secrets()["DB_PASS_CURRENT"] == DB_PASSWORD
    assert host.settings()["MOOG_AUTH"] == "none"


def converse(terminal: int, typed: dict[str, str]) -> str:
    """Answers each question as it comes up; everything that was on the terminal."""
    shown, waiting = "", dict(typed)
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, f"nothing more came after: {shown[-300:]}"
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # The other side has closed the terminal: the command has ended.
            return shown
        for question in [each for each in waiting if re.search(re.escape(each) + r"[^\n]*: $", shown)]:
            os.write(terminal, (waiting.pop(question) + "\n").encode())


@pytest.fixture
def running(host: Setup) -> Iterator[Setup]:
    """A host that was set up and whose programs and receiver run, started with nothing but what setup wrote."""
    receiver = free_port()
    host.answers["settings"] |= {
        "MOOG_WEBHOOK_URL": f"http://127.0.0.1:{receiver}/webhook",
        "SERVER_BIND_ADDRESS": "127.0.0.1", "METRICS_BIND_ADDRESS": "127.0.0.1", "INGEST_WORKERS": 1,
        "MUTT_RUN_DIR": str(host.etc.parent / "run"),
    }  # fmt: skip
    first = host.run()
    assert first.exit_code == 0, first.stderr
    assert "the programs do not run, so no test event was sent" in first.stderr
    commands = [["-m", "load.receiver", "--port", str(receiver)]]
    commands += [["-m", module.strip(), *arguments] for module, arguments in PROGRAMS.items()]
    environ = {**host.environ(), "MUTT_ENV_FILE": str(host.env_file)}
    with (host.etc.parent / "log").open("wb") as log:
        started = [
            subprocess.Popen([sys.executable, *each], env=environ, stdout=log, stderr=log, cwd=ROOT)
            for each in commands
        ]
    try:
        yield host
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=40)


def test_the_test_event_reaches_the_webhook(running: Setup) -> None:
    """With --test it is sent although nothing changed; the programs take a moment until they are healthy."""
    outcomes: list[Result] = []

    def sent() -> bool:
        outcomes.append(running.run("--test"))
        return outcomes[-1].exit_code == 0 or "no test event was sent" not in outcomes[-1].stderr

    wait_until(sent, "the programs to be healthy", seconds=60)
    assert outcomes[-1].exit_code == 0, outcomes[-1].stderr
    assert DONE in outcomes[-1].stderr
    assert "accepted by http://127.0.0.1:" in outcomes[-1].stderr
    assert "no rule forwards this event" not in outcomes[-1].stderr
    assert re.search(r"deliver", outcomes[-1].stdout), outcomes[-1].stdout
