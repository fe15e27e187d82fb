"""Programs of the operating system that the stack needs, and how apt-get or dnf brings the missing ones.

Servers are installed without being started and without a database of their own: nothing appears on their usual
ports, now or at the next boot. The recipes for dnf (RHEL 8, 9 and 10) are written from its documentation and have
not been tried. Only the standard library, and readable by Python 3.9.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from load.stack.console import StackError, run_logged, step
from load.stack.layout import ROOT

POSTGRES_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/postgresql/*/bin")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_ASIDE = Path("/usr/sbin/policy-rc.d.before-mutt")
OUR_POLICY = "#!/bin/sh\n# Put here by MUTT's laptop stack while it installs packages.\nexit 101\n"
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/90-mutt.conf")

FOR_TESTS = {
    "chromium": "chromium",
    "chromium-driver": "chromedriver",
    "prometheus": "promtool",
    "prometheus-alertmanager": "amtool",
    "pgbouncer": "pgbouncer",
}
"""Debian's packages for the tests, each with a program that it brings."""


# --- what is there --------------------------------------------------------------------------------------------


def redis_command() -> tuple[str, str] | None:
    """The executable of a Redis or Valkey server and the name to start it under; None when there is none.

    Debian's redis-tools has no redis-server, but its redis-check-rdb is the same program: which of the two it is
    depends on the name it is started under. That spares the machine the system service of the redis package.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found, name
    checker = shutil.which("redis-check-rdb")
    if checker and _starts(checker, "redis-server"):
        return checker, "redis-server"
    return None


def _starts(executable: str, name: str) -> bool:
    outcome = subprocess.run([name, "--version"], executable=executable, capture_output=True, check=False)
    return outcome.returncode == 0 and b"v=" in outcome.stdout


def postgres_folders() -> list[Path]:
    """Folders with the server's programs, newest version first."""
    folders = [folder for pattern in POSTGRES_FOLDERS for folder in Path("/").glob(pattern.lstrip("/"))]
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    complete = {folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()}
    return sorted(complete, key=_version, reverse=True)


def _version(folder: Path) -> int:
    digits = re.search(r"\d+", str(folder))
    return int(digits.group()) if digits else 0


def has_venv(python: str) -> bool:
    return subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode == 0


# --- bringing what is missing ---------------------------------------------------------------------------------


def install_missing(python: str, log: Path) -> None:
    """Installs what is not there yet. Raises StackError with the command to run when it may not or cannot."""
    missing = []
    if not has_venv(python):
        missing.append("venv")
    if redis_command() is None:
        missing.append("redis")
    if not postgres_folders():
        missing.append("postgresql")
    if not missing:
        return
    if shutil.which("apt-get"):
        _install_with_apt(missing, python, log)
    elif shutil.which("dnf"):
        install_with_dnf(missing, log)
    else:
        raise StackError(
            f"missing on this machine: {', '.join(missing)}; neither apt-get nor dnf is here to install them"
        )


def install_for_tests(log: Path) -> None:
    """Installs what only tests need: a browser and its driver, Prometheus, its alert manager, PgBouncer. Debian only.

    Elsewhere the tests that want them are skipped and say so.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"  # Where PgBouncer is, and where users do not look.
    wanted = [package for package, program in FOR_TESTS.items() if shutil.which(program, path=path) is None]
    if not wanted or not shutil.which("apt-get"):
        return
    what = " ".join(wanted)
    apt = _as_root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"], what)
    if not all(_apt_knows(name) for name in wanted):
        with step("Reading Debian's package lists"):
            run_logged([*apt, "update"], log)
    with step(f"Installing {what} for the tests"), _services_stay_off(what):
        _install_or_update([*apt, "install", "-y", "--no-install-recommends"], wanted, apt, log)
    for unit in ("prometheus.service", "prometheus-alertmanager.service", "pgbouncer.service"):
        # Debian has it started at the next boot.
        _root_command(["rm", "-f", f"/etc/systemd/system/multi-user.target.wants/{unit}"], what)


def _as_root(command: Sequence[str], what: str) -> list[str]:
    """The command as root would run it: as it is, or through sudo."""
    if os.geteuid() == 0:
        return list(command)
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n", *command]
    if sudo and sys.stdin.isatty():
        return [sudo, *command]
    raise StackError(
        f"missing on this machine, and only root can install it: {what}. Run this as root (it starts no service):\n"
        f"    cd {ROOT} && python3 -m load.stack.bootstrap packages"
    )


def _install_with_apt(missing: list[str], python: str, log: Path) -> None:
    minor = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    names = {"venv": f"python{minor}-venv", "redis": "redis-tools", "postgresql": "postgresql"}
    wanted = [names[what] for what in missing]
    what = " ".join(wanted)
    apt = _as_root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"], what)
    install = [*apt, "install", "-y", "--no-install-recommends"]
    if not all(_apt_knows(name) for name in wanted):
        with step("Reading Debian's package lists"):
            run_logged([*apt, "update"], log)
    with _services_stay_off(what):
        if "postgresql" in missing:
            with step("Installing postgresql-common"):
                _install_or_update(install, ["postgresql-common"], apt, log)
        with step(f"Installing {' '.join(wanted)}"), _no_default_cluster(what):
            _install_or_update(install, wanted, apt, log)


def _install_or_update(install: list[str], wanted: list[str], apt: list[str], log: Path) -> None:
    try:
        run_logged([*install, *wanted], log)
    except StackError:
        # Old package lists name versions that the archive no longer has.
        run_logged([*apt, "update"], log)
        run_logged([*install, *wanted], log)


def _apt_knows(name: str) -> bool:
    return subprocess.run(["apt-cache", "show", name], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def _services_stay_off(what: str) -> Iterator[None]:
    """While it lasts no package starts a service: Debian asks policy-rc.d, which says 101, "forbidden"."""
    if POLICY.exists() and POLICY.read_text() != OUR_POLICY:  # Ours is there when an installation was killed.
        _root_command(["mv", str(POLICY), str(POLICY_ASIDE)], what)
    _write_as_root(POLICY, OUR_POLICY, "0755", what)
    try:
        yield
    finally:
        if POLICY_ASIDE.exists():
            _root_command(["mv", str(POLICY_ASIDE), str(POLICY)], what)
        else:
            _root_command(["rm", "-f", str(POLICY)], what)


@contextlib.contextmanager
def _no_default_cluster(what: str) -> Iterator[None]:
    """While it lasts Debian's PostgreSQL package makes no database cluster that would start at the next boot."""
    if not NO_CLUSTER.parent.parent.exists():
        yield
        return
    _root_command(["mkdir", "-p", str(NO_CLUSTER.parent)], what)
    _write_as_root(NO_CLUSTER, "create_main_cluster = off\n", "0644", what)
    try:
        yield
    finally:
        _root_command(["rm", "-f", str(NO_CLUSTER)], what)


def _root_command(command: Sequence[str], what: str) -> None:
    subprocess.run(_as_root(command, what), check=True)


def _write_as_root(file: Path, content: str, mode: str, what: str) -> None:
    with tempfile.NamedTemporaryFile("w") as draft:
        draft.write(content)
        draft.flush()
        _root_command(["install", "-m", mode, draft.name, str(file)], what)


def install_with_dnf(missing: list[str], log: Path) -> None:
    """RHEL enables no service on installation. Not tried on RHEL."""
    names = {
        "venv": ["python3.11", "python3.12"],
        "redis": ["redis", "valkey"],
        "postgresql": ["postgresql-server"],
    }
    for what in missing:
        choices = names[what]
        name = next((choice for choice in choices if _dnf_knows(choice)), choices[0])
        install = _as_root(["dnf", "install", "-y", name], name)
        with step(f"Installing {name}"):
            run_logged(install, log)


def _dnf_knows(name: str) -> bool:
    return subprocess.run(["dnf", "-q", "list", name], capture_output=True, check=False).returncode == 0
