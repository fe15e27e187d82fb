"""Where the laptop stack keeps its things, and which account its servers run as.

Only the standard library, and readable by Python 3.9: ``bootstrap`` needs it before there is an environment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LONGEST_SOCKET_FOLDER = 80
"""A Unix socket's path may have 107 bytes; this leaves room for the names that the servers add."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Files and folders of one stack. ``STACK_DIR`` moves ``var/`` elsewhere, so that tests can have their own."""

    root: Path
    var: Path

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Layout:
        return cls(ROOT, Path(environ.get("STACK_DIR") or ROOT / "var").absolute())

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def bin(self) -> Path:
        return self.venv / "bin"

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def run(self) -> Path:
        return self.var / "run"

    @property
    def pids(self) -> Path:
        return self.run / "pids"

    @property
    def setup_log(self) -> Path:
        return self.logs / "setup.log"

    @property
    def mutt_env(self) -> Path:
        return self.var / "mutt.env"

    @property
    def secrets_env(self) -> Path:
        return self.var / "secrets.env"

    @property
    def dev_env(self) -> Path:
        return self.var / "dev.env"

    @property
    def supervisord_conf(self) -> Path:
        return self.var / "supervisord.conf"

    @property
    def data(self) -> Path:
        """Folder of Redis's and PostgreSQL's data and sockets, owned by the servers' account."""
        return self.var / "data"

    @property
    def away(self) -> Path:
        """Where the data goes when the servers' account cannot reach ``var/``; one folder per checkout."""
        digest = hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]
        return Path("/var/tmp") / f"mutt-{digest}"  # noqa: S108 - made with mode 0700, and its owner is checked

    @property
    def control_socket(self) -> Path:
        """supervisord's socket; beside the data when the path to ``var/run`` is too long for a socket."""
        folder = self.run if len(os.fsencode(self.run)) <= LONGEST_SOCKET_FOLDER else self.away
        return folder / "supervisor.sock"

    def create(self) -> None:
        for folder in (self.var, self.logs, self.run, self.pids):
            folder.mkdir(parents=True, exist_ok=True)
        # The servers' account has to pass through, whatever the umask was; what is secret has a mode of its own.
        self.var.chmod(0o755)


@dataclasses.dataclass(frozen=True)
class Account:
    """The user that Redis and PostgreSQL run as."""

    name: str
    uid: int
    gid: int

    @property
    def switch(self) -> dict[str, object]:
        """Arguments for subprocess that make a child run as this account; none when we are it already."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, folder: Path) -> bool:
        probe = ["test", "-x", str(folder)]
        outcome = subprocess.run(probe, cwd="/", **self.switch)  # type: ignore[call-overload]
        return bool(outcome.returncode == 0)


def server_account() -> Account:
    """Ourselves, or for root an account without privileges: PostgreSQL refuses to run as root, Redis should not."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise LookupError("neither the account postgres nor nobody exists")


def create_data_folder(layout: Layout, account: Account) -> Path:
    """The data folder's real path, made if need be, with mode 0700 and owned by the servers' account.

    When that account cannot reach ``var/`` (the checkout is below somebody's 0700 home) or its path is too long for
    a socket, the data lives under /var/tmp and ``var/data`` is a link to it.
    """
    if not layout.data.exists() and not _fits(layout, account):
        _own(layout.away, account)
        layout.data.unlink(missing_ok=True)
        layout.data.symlink_to(layout.away)
    target = layout.data.resolve()
    _own(target, account)
    return target


def _fits(layout: Layout, account: Account) -> bool:
    return account.can_enter(layout.var) and len(os.fsencode(layout.data)) <= LONGEST_SOCKET_FOLDER


def _own(folder: Path, account: Account) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid not in (os.geteuid(), account.uid):
        raise PermissionError(f"{folder} belongs to somebody else")
    if folder.stat().st_uid != account.uid:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
