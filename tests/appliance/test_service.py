"""The unit and its hardening: systemd really boots, and the installed programs run under it.

There is no Redis and no PostgreSQL in there: the programs have to start and stay up without them.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance import booted_host
from tests.appliance.booted_host import BootedHost
from tests.appliance.conftest import CHECKOUT
from tests.support.waiting import wait_until

PROGRAMS = ("mutt-alerter", "mutt-forwarder", "mutt-ingestor", "mutt-remediation", "mutt-webui")
SETTINGS = "MUTT_SECRETS_BACKEND=file\nMOOG_WEBHOOK_URL=http://127.0.0.1:9/webhook\n"
SUPERVISORCTL = (
    "env",
    "MUTT_BIN=/usr/lib/mutt/bin",
    "/usr/lib/mutt/bin/supervisorctl",
    "-c",
    "/etc/mutt/supervisord.conf",
)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is missing (apt-get install systemd)")
def test_the_unit_gives_away_little() -> None:
    command = ["systemd-analyze", "security", "--offline=true", str(CHECKOUT / "systemd/mutt.service")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    exposure = re.search(r"Overall exposure level for mutt.service: ([\d.]+)", answer)
    assert exposure, answer
    assert float(exposure[1]) <= 1.5


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedHost]:
    """A booted host with the package installed, configured and started."""
    if reason := booted_host.missing():
        pytest.skip(reason)
    if not shutil.which("rpmbuild"):
        pytest.skip("rpmbuild is missing (apt-get install rpm)")
    package: Path = request.getfixturevalue("package")
    host = BootedHost(tmp_path_factory.mktemp("booted"), "mutt-test")
    try:
        host.mount()
        install(host, package)
        host.boot()
        started = host.run("systemctl", "start", "mutt")
        assert started.returncode == 0, started.stdout
        yield host
    finally:
        host.stop()


def install(host: BootedHost, package: Path) -> None:
    command = ["rpm", "--root", str(host.root), "--dbpath", "/var/lib/rpm", "-i", "--nodeps", str(package)]
    subprocess.run(command, check=True, capture_output=True)
    (host.root / "etc/mutt/mutt.env").write_text(SETTINGS)
    secrets = host.root / "etc/mutt/secrets/secrets.env"
    secrets.write_text("INGEST_API_KEY=in\nWEBUI_API_KEY=web\nMOOG_API_KEY=moog\n")
    secrets.chmod(0o640)
    shutil.chown(secrets, "root", int((host.root / "etc/mutt").stat().st_gid))


def running(host: BootedHost) -> dict[str, str]:
    """Pid of each program that supervisor says is running."""
    status = host.run(*SUPERVISORCTL, "status").stdout
    return dict(re.findall(r"^(\S+) +RUNNING +pid (\d+)", status, re.MULTILINE))


def answers(host: BootedHost, port: int) -> bool:
    """Whether a program's /health answers at all; without Redis it says 503."""
    code = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/health', timeout=5)"
    outcome = host.run("/usr/bin/python3.11", "-I", "-c", code)
    return outcome.returncode == 0 or "HTTP Error 503" in outcome.stdout


class TestService:
    """In the order of a service's life: each test finds the host as the one before left it."""

    def test_all_programs_run_and_answer(self, host: BootedHost) -> None:
        wait_until(lambda: set(running(host)) == set(PROGRAMS), "all programs to run", seconds=60)
        for port in (8080, 8090, 8082, 8084, 8087):
            wait_until(lambda port=port: answers(host, port), f"port {port} to answer", seconds=60)

    def test_logs_are_in_the_journal(self, host: BootedHost) -> None:
        journal = host.run("journalctl", "--unit", "mutt", "--no-pager").stdout
        assert [program for program in PROGRAMS if f"service={program}" not in journal] == []

    def test_reload_restarts_no_program(self, host: BootedHost) -> None:
        before = running(host)
        reloaded = host.run("systemctl", "reload", "mutt")
        assert reloaded.returncode == 0, reloaded.stdout
        assert running(host) == before

    @pytest.mark.parametrize("program", PROGRAMS)
    def test_a_killed_program_is_started_again(self, host: BootedHost, program: str) -> None:
        before = running(host)[program]
        host.run("kill", "-9", before)
        wait_until(lambda: running(host).get(program, before) != before, f"{program} to be started again", seconds=30)

    def test_the_service_itself_was_never_restarted(self, host: BootedHost) -> None:
        assert host.run("systemctl", "show", "mutt", "--property=NRestarts").stdout == "NRestarts=0\n"

    def test_stopping_ends_every_process(self, host: BootedHost) -> None:
        assert host.run("systemctl", "stop", "mutt").returncode == 0
        assert host.run("systemctl", "show", "mutt", "--property=Result").stdout == "Result=success\n"
        assert host.run("pgrep", "-u", "mutt").stdout == ""
