"""A PostgreSQL of the tests' own: started on a free port of the loopback, thrown away afterwards.

``postgres_server`` is the fixture; a conftest re-exports it. However many modules import it, one server is started.
"""

import atexit
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from mutt.settings import DatabaseSettings
from mutt.store import migrations
from mutt.store.pool import Database
from tests.support.waiting import wait_until

ROLE = "mutt_user"
PASSWORD = "mutt_password"
SUPERUSER = "postgres"
SUPERUSER_PASSWORD = "postgres_password"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    # A killed server loses nothing by it, only a machine without power does; the tests run twice as fast.
    "fsync": "off",
}


class PrivatePostgres:
    """A server with the superuser ``postgres`` and the role ``mutt_user``, both with passwords (scram-sha-256).

    ``settings`` go to postgresql.conf, over the ones of this module. Nothing runs before ``start``.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.binaries = find_binaries()
        if self.binaries is None:
            raise FileNotFoundError("no PostgreSQL server found: looked for initdb and pg_ctl")
        self.port = _free_port()
        self._settings = {**SETTINGS, **(settings or {})}
        self._account = SUPERUSER if os.geteuid() == 0 else None
        self._names = itertools.count(1)
        self._template: str | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-postgres-", dir=_reachable_folder()))
        if self._account:
            shutil.chown(self.folder, self._account)

    def start(self) -> None:
        """Returns when the server takes connections; the first time it makes the database cluster."""
        if not self.data.exists():
            self._initialise()
        self._pg_ctl("start", "-l", str(self.folder / "log"), "-o", f"-p {self.port}")

    def stop(self) -> None:
        """Ends it as an operator does: sessions are cut, work under way is rolled back."""
        if self.is_running():
            self._pg_ctl("stop", "-m", "fast")

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL to every one of its processes; returns when they are gone. ``start`` recovers from the log."""
        postmaster = self.pid()
        processes = [postmaster, *_children(postmaster)]
        for process in processes:
            _signal(process, signal.SIGKILL)
        wait_until(lambda: not any(map(_is_alive, processes)), "PostgreSQL to die")
        # Until its parent has noticed, a dead process still has its id, and pg_ctl takes it for a running server.
        (self.data / "postmaster.pid").unlink()

    def pause(self) -> None:
        """SIGSTOP to every one of its processes: it neither answers nor closes anything."""
        for process in [self.pid(), *_children(self.pid())]:
            _signal(process, signal.SIGSTOP)

    def resume(self) -> None:
        for process in [self.pid(), *_children(self.pid())]:
            _signal(process, signal.SIGCONT)

    def remove(self) -> None:
        """Stops it and removes its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, name: str | None = None, template: str = "template0") -> str:
        """Makes a database that ``mutt_user`` owns and returns its name, made up when none is given."""
        name = name or f"test_{next(self._names)}"
        self.execute(f'CREATE DATABASE "{name}" OWNER {ROLE} TEMPLATE "{template}"')
        return name

    def create_migrated_database(self) -> str:
        """As ``create_database``, with MUTT's schema and its example rules in it."""
        if self._template is None:
            self._template = self.create_database()
            with closing(psycopg2.connect(self.dsn(self._template))) as connection:
                migrations.migrate(connection, report=lambda _sentence: None)
        return self.create_database(template=self._template)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Runs one statement as superuser, outside a transaction; the rows, if it gives any."""
        with closing(psycopg2.connect(self.admin_dsn(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def dsn(self, database: str) -> str:
        """How mutt_user connects."""
        return f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def admin_dsn(self, database: str = "postgres") -> str:
        """How the superuser connects."""
        return f"postgresql://{SUPERUSER}:{SUPERUSER_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def settings(self, database: str, max_connections: int = 4) -> DatabaseSettings:
        """What a program's settings say about this server; the password is ``PASSWORD``."""
        return DatabaseSettings(
            host="127.0.0.1", port=self.port, name=database, user=ROLE, tls_enabled=False,
            pool_min_connections=1, pool_max_connections=max_connections,
        )  # fmt: skip

    def schema(self, database: str) -> str:
        """``pg_dump --schema-only``, without the token that newer versions make up for every dump."""
        command = [self.program("pg_dump"), "--schema-only", self.dsn(database)]
        dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return re.sub(r"(?m)^\\(un)?restrict .*$", "", dump)

    def program(self, name: str) -> str:
        """Path of one of PostgreSQL's programs."""
        assert self.binaries is not None
        return str(self.binaries / name)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def pid(self) -> int:
        """The postmaster's process id."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def is_running(self) -> bool:
        return self._run(self.program("pg_ctl"), "status", "-D", str(self.data)).returncode == 0

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(SUPERUSER_PASSWORD)
        self._checked(
            self.program("initdb"), "-D", str(self.data), "-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync", "--pwfile", str(password_file),
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())
        self._pg_ctl("start", "-l", str(self.folder / "log"), "-o", f"-p {self.port}")
        self.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        self.stop()

    def _pg_ctl(self, action: str, *arguments: str) -> None:
        self._checked(self.program("pg_ctl"), action, "-D", str(self.data), "-w", "-t", "60", *arguments)

    def _checked(self, *command: str) -> None:
        done = self._run(*command)
        if done.returncode:
            log = self.folder / "log"
            tail = log.read_text()[-2000:] if log.exists() else ""
            raise RuntimeError(f"{' '.join(command)} failed: {done.stdout}{tail}")

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        # PostgreSQL refuses to run as root. Its output goes to a file, for the server inherits it and keeps it open.
        account = pwd.getpwnam(self._account) if self._account else None
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command, cwd=self.folder, check=False, text=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                user=account and account.pw_uid, group=account and account.pw_gid, extra_groups=[] if account else None,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )  # fmt: skip
            output.seek(0)
            done.stdout = output.read()
        return done


class Passwords:
    """Stands in for the credentials of a program: answers with the passwords it was given, in their order."""

    def __init__(self, *passwords: str) -> None:
        self.passwords = passwords

    def candidates(self, name: str) -> tuple[str, ...]:
        assert name == "DB_PASS"
        return self.passwords


@contextmanager
def open_database(server: PrivatePostgres, name: str | None = None, **options: Any) -> Iterator[Database]:
    """MUTT's own access to a database of the server, a new one with the schema unless one is named."""
    settings = server.settings(name or server.create_migrated_database())
    database = Database(settings, Passwords(PASSWORD), "test", **options)
    try:
        yield database
    finally:
        database.close()


def find_binaries() -> Path | None:
    """The folder of the newest PostgreSQL on this machine, where Debian and RHEL put them or on PATH."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    folders.sort(key=lambda folder: float(re.sub(r"[^0-9.]", "", str(folder))), reverse=True)
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).parent)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@cache
def shared_server() -> PrivatePostgres:
    """The server of this test run, started at the first call and removed at the end of the process."""
    server = PrivatePostgres()
    atexit.register(server.remove)
    server.start()
    return server


@pytest.fixture(scope="session")
def postgres_server() -> PrivatePostgres:
    """The server that tests share; a test that stops it starts it again. Skips without PostgreSQL, but not in CI."""
    if find_binaries() is None and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is not installed")
    return shared_server()


def _reachable_folder() -> str | None:
    """A temporary folder that another user can get to, which the one of this process may not be."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes a private folder in it
        path = Path(folder).resolve()
        if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents)):
            return str(path)
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(parent: int) -> list[int]:
    """Ids of the processes that ``parent`` has started and that still run."""
    children = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # It has ended since it was listed.
            continue
        if int(fields[1]) == parent:
            children.append(int(file.parent.name))
    return children


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:  # It was quicker.
        return
