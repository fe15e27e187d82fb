"""From nothing to the first event that reached the webhook, on a host that really boots: two commands.

Redis, PostgreSQL and a receiver run on the host already, as an operator has them. dnf installs the package from a
repository, `mutt-admin setup` does the rest.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance import booted_host
from tests.appliance.booted_host import BootedHost
from tests.appliance.conftest import CHECKOUT
from tests.appliance.small_root import BASE_SPEC, build_stand_in, make_repository
from tests.appliance.test_rpm import BASE, needed
from tests.support.postgres import find_binaries
from tests.support.waiting import wait_until

MOST_SECONDS = 60
"""What the two commands may take together."""

DNF = ("dnf", "-y", "--releasever=9", "--setopt=reposdir=/srv/repo", "--setopt=install_weak_deps=False")
REPO = "[mutt]\nname=mutt\nbaseurl=file:///srv/repo\nenabled=1\ngpgcheck=0\n"
ANSWERS = """\
settings:
  MOOG_WEBHOOK_URL: http://127.0.0.1:9100/webhook
secrets:
  DB_PASS_CURRENT: password of the role
  MOOG_API_KEY: key of the webhook
"""
LISTENS = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 1)"


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedHost]:
    """A booted host with Redis, PostgreSQL and a receiver, and a repository in /srv/repo."""
    if reason := booted_host.missing():
        pytest.skip(reason)
    if absent := [each for each in ("rpmbuild", "dnf", "createrepo_c", "redis-server") if not shutil.which(each)]:
        pytest.skip(f"missing: {', '.join(absent)}")
    package: Path = request.getfixturevalue("package")
    host = BootedHost(tmp_path_factory.mktemp("first"), "mutt-first")
    try:
        host.mount()
        make_repository_in(host.root / "srv/repo", package)
        shutil.copytree(CHECKOUT / "load", host.root / "srv/checkout/load")
        # Debian's rpm keeps its database elsewhere.
        (host.root / "root/.rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
        answers = host.root / "root/answers.yml"
        answers.write_text(ANSWERS)
        answers.chmod(0o600)
        host.boot()
        start_servers(host)
        yield host
    finally:
        host.stop()


def make_repository_in(folder: Path, package: Path) -> None:
    folder.mkdir(parents=True)
    provides = "\n".join(f"Provides: {each}" for each in sorted(set(needed(package))) if BASE.fullmatch(each))
    build_stand_in(BASE_SPEC.format(provides=provides), folder)
    shutil.copy(package, folder)
    make_repository(folder)
    (folder / "mutt.repo").write_text(REPO)


def start_servers(host: BootedHost) -> None:
    binaries = find_binaries()
    assert binaries is not None
    start(host, "redis", "redis-server", "--port", "6379", "--appendonly", "yes", "--dir", "/var/tmp")  # noqa: S108
    wait_until(lambda: listens(host, 6379), "Redis to listen")
    data = "/var/tmp/postgres"  # noqa: S108 - of the container
    done = host.run("runuser", "-u", "postgres", "--", f"{binaries}/initdb", "-D", data, "-A", "trust", "--no-sync")
    assert done.returncode == 0, done.stdout
    start(host, "postgres", f"{binaries}/postgres", "-D", data, "-k", "/tmp", user="postgres")  # noqa: S108
    wait_until(lambda: listens(host, 5432), "PostgreSQL to listen")
    for statement in ("CREATE ROLE mutt_user LOGIN PASSWORD 'password of the role'",
                      "CREATE DATABASE mutt_db OWNER mutt_user"):  # fmt: skip
        made = host.run(f"{binaries}/psql", "-h", "127.0.0.1", "-U", "postgres", "-c", statement)
        assert made.returncode == 0, made.stdout


def start(host: BootedHost, unit: str, *command: str, user: str = "root") -> None:
    started = host.run("systemd-run", f"--unit=test-{unit}", f"--uid={user}", *command)
    assert started.returncode == 0, started.stdout


def listens(host: BootedHost, port: int) -> bool:
    return host.run("/usr/bin/python3.11", "-I", "-c", LISTENS, str(port)).returncode == 0


class TestFirstEvent:
    """In this order: each test finds the host as the one before left it."""

    def test_two_commands_lead_to_an_event_at_the_webhook(
        self, host: BootedHost, capsys: pytest.CaptureFixture[str]
    ) -> None:
        began = time.monotonic()
        installed = host.run(*DNF, "install", "base-of-rhel", "mutt")
        assert installed.returncode == 0, installed.stdout
        after_dnf = time.monotonic() - began
        # The receiver runs with the libraries that the package brought, so it can only start now.
        start(
            host, "receiver", "env", "PYTHONPATH=/srv/checkout:/usr/lib/mutt/site", "/usr/bin/python3.11", "-m",
            "load.receiver", "--port", "9100",
        )  # fmt: skip
        done = host.run("mutt-admin", "setup", "--answers", "/root/answers.yml")
        seconds = time.monotonic() - began
        assert done.returncode == 0, done.stdout
        assert "found Redis at 127.0.0.1:6379" in done.stdout
        assert "found PostgreSQL at 127.0.0.1:5432" in done.stdout
        assert "all five programs are healthy" in done.stdout
        received = host.run("curl", "-sS", "http://127.0.0.1:9100/received").stdout
        assert "sent by mutt-admin setup" in received
        with capsys.disabled():
            print(f"\ndnf install {after_dnf:.1f} s, to the first forwarded event {seconds:.1f} s")
        assert seconds < MOST_SECONDS

    def test_the_service_comes_back_with_the_host(self, host: BootedHost) -> None:
        for unit in ("mutt.service", "mutt-upkeep.timer"):
            assert host.run("systemctl", "is-enabled", unit).stdout == "enabled\n"
            assert host.run("systemctl", "is-active", unit).stdout == "active\n"

    def test_the_files_are_for_the_programs_and_nobody_else(self, host: BootedHost) -> None:
        listed = host.run("stat", "-c", "%a %U:%G", "/etc/mutt/mutt.env", "/etc/mutt/secrets/secrets.env").stdout
        assert listed == "640 root:mutt\n640 root:mutt\n"

    def test_a_second_run_changes_nothing(self, host: BootedHost) -> None:
        before = host.run("systemctl", "show", "mutt", "--property=ActiveEnterTimestampMonotonic").stdout
        again = host.run("mutt-admin", "setup", "--answers", "/root/answers.yml")
        assert again.returncode == 0, again.stdout
        assert "nothing was changed: this host is set up already" in again.stdout
        assert host.run("systemctl", "show", "mutt", "--property=ActiveEnterTimestampMonotonic").stdout == before

    def test_a_changed_answer_restarts_the_service(self, host: BootedHost) -> None:
        before = host.run("systemctl", "show", "mutt", "--property=ActiveEnterTimestampMonotonic").stdout
        file = host.root / "root/answers.yml"
        file.write_text(ANSWERS.replace("settings:\n", "settings:\n  LOG_LEVEL: DEBUG\n"))
        changed = host.run("mutt-admin", "setup", "--answers", "/root/answers.yml")
        assert changed.returncode == 0, changed.stdout
        assert "systemctl restart mutt.service: done" in changed.stdout
        assert host.run("systemctl", "show", "mutt", "--property=ActiveEnterTimestampMonotonic").stdout != before
