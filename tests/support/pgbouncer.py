"""A PgBouncer of the tests' own, before a private PostgreSQL: transaction pooling, the passwords of its roles."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg2

from mutt.settings import DatabaseSettings
from tests.support.postgres import PASSWORD, ROLE, PrivatePostgres
from tests.support.redis_server import free_port
from tests.support.waiting import wait_until

ACCOUNT = "nobody"


def find_program() -> str | None:
    """Debian has it where only root's PATH looks."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


class PrivatePgBouncer:
    """One process on a free port. ``connections`` is how many it opens to a database; ``options`` go to its ini."""

    def __init__(self, server: PrivatePostgres, connections: int = 2, **options: str) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-pgbouncer-"))
        self.folder.chmod(0o755)
        self._server = server
        self._options = {
            "listen_addr": "127.0.0.1", "listen_port": str(self.port), "unix_socket_dir": "",
            "auth_type": "scram-sha-256", "auth_file": str(self.folder / "users"), "pool_mode": "transaction",
            "default_pool_size": str(connections), "ignore_startup_parameters": "options", **options,
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        lines = [f"* = host=127.0.0.1 port={self._server.port}"]
        lines += ["[pgbouncer]", *(f"{name} = {value}" for name, value in self._options.items())]
        (self.folder / "pgbouncer.ini").write_text("\n".join(["[databases]", *lines, ""]))
        (self.folder / "users").write_text(f'"{ROLE}" "{PASSWORD}"\n')
        # It refuses to run as root.
        account = pwd.getpwnam(ACCOUNT) if os.geteuid() == 0 else None
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [find_program() or "pgbouncer", str(self.folder / "pgbouncer.ini")], stdout=log, stderr=log,
                user=account and account.pw_uid, group=account and account.pw_gid, extra_groups=[] if account else None,
            )  # fmt: skip
        wait_until(self._answers, "PgBouncer to answer")

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings(self, database: str, max_connections: int = 4) -> DatabaseSettings:
        """What a program's settings say that goes through it to this database."""
        return DatabaseSettings(
            host="127.0.0.1", port=self.port, name=database, user=ROLE, tls_enabled=False,
            pool_min_connections=1, pool_max_connections=max_connections,
        )  # fmt: skip

    def dsn(self, database: str) -> str:
        return f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.dsn("postgres")).close()
        except psycopg2.OperationalError:
            return False
        return True
