"""The stack's own Redis and PostgreSQL: made once, started in the background, reachable on loopback only."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg2
import redis
from psycopg2 import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from load.stack.console import StackError, tail
from load.stack.layout import Account, Layout
from load.stack.packages import postgres_folders, redis_command
from load.stack.processes import Service

START_SECONDS = 30.0

PG_HBA = """\
# The socket is in a folder that only the servers' account and root can enter; over TCP everybody needs a password.
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


def redis_service(layout: Layout) -> Service:
    return Service(layout, "redis", grace_seconds=20)


def postgres_service(layout: Layout) -> Service:
    # SIGINT is PostgreSQL's fast shutdown: it ends its clients' sessions instead of waiting for them to leave.
    return Service(layout, "postgres", stop_signal=signal.SIGINT, grace_seconds=30)


def start_redis(layout: Layout, data: Path, account: Account, port: int, password: str) -> None:
    """Returns when Redis answers; it loses at most a second of acknowledged writes in a power cut (AOF everysec)."""
    command = redis_command()
    if command is None:
        raise StackError("no redis-server and no valkey-server on this machine")
    executable, name = command
    folder = _folder(data / "redis", account)
    conf = folder / "redis.conf"
    _write(conf, _redis_conf(folder, port, password), account)
    service = redis_service(layout)
    service.start([name, str(conf)], _plain_environment(), account, executable=executable)
    client = redis.Redis(port=port, password=password, socket_timeout=2, retry=Retry(NoBackoff(), 0))
    service.wait_until(lambda: _redis_answers(client), START_SECONDS)


def _redis_conf(folder: Path, port: int, password: str) -> str:
    lines = [
        "bind 127.0.0.1", f"port {port}", f"requirepass {password}", f'dir "{folder}"', "daemonize no",
        "appendonly yes", "appendfsync everysec", 'save ""', "maxmemory-policy noeviction",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _redis_answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:  # Not listening yet, or still reading its file.
        return False


def start_postgres(layout: Layout, data: Path, account: Account, values: Mapping[str, str], password: str) -> None:
    """Returns when PostgreSQL answers and has MUTT's role, with this password, and its database."""
    folder = data / "postgres"
    programs = _programs_for(folder)
    if not (folder / "PG_VERSION").exists():
        _initdb(programs, folder, layout, account)
    _write(folder / "pg_hba.conf", PG_HBA, account)
    options = {
        "listen_addresses": "127.0.0.1",
        "port": values["DB_PORT"],
        "unix_socket_directories": str(data),
        "max_connections": "200",
        "password_encryption": "scram-sha-256",
        "logging_collector": "off",
    }
    argv = [
        str(programs / "postgres"),
        "-D",
        str(folder),
        *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
    ]
    service = postgres_service(layout)
    service.start(argv, _plain_environment(), account)
    service.wait_until(lambda: _postgres_answers(data, values["DB_PORT"]), START_SECONDS)
    _ensure_database(data, values, password)


def _programs_for(folder: Path) -> Path:
    """The folder of PostgreSQL's programs; of the version that made the data, when there is data."""
    folders = postgres_folders()
    if not folders:
        raise StackError("no PostgreSQL server on this machine")
    try:
        version = (folder / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return folders[0]
    for programs in folders:
        shown = subprocess.run([str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True)
        if re.search(rf" {version}\b", shown.stdout):
            return programs
    raise StackError(
        f"{folder} was made by PostgreSQL {version}, which is not here any more; `make clean` starts afresh"
    )


def _initdb(programs: Path, folder: Path, layout: Layout, account: Account) -> None:
    """A new database cluster in ``folder``: whole or, when interrupted, not there at all."""
    draft = folder.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    options = ["--username", "postgres", "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "trust"]
    log = layout.logs / "postgres.log"
    with log.open("ab") as output:
        outcome = subprocess.run(
            [str(programs / "initdb"), "--pgdata", str(draft), *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=_plain_environment(),
            **account.switch,  # type: ignore[call-overload]
        )
    if outcome.returncode != 0:
        raise StackError(f"initdb failed. The end of {log}:\n{tail(log)}")
    draft.rename(folder)


def _connect(data: Path, port: str) -> "psycopg2.extensions.connection":
    return psycopg2.connect(host=str(data), port=port, user="postgres", dbname="postgres", connect_timeout=2)


def _postgres_answers(data: Path, port: str) -> bool:
    try:
        _connect(data, port).close()
    except psycopg2.OperationalError:
        return False
    return True


def _ensure_database(data: Path, values: Mapping[str, str], password: str) -> None:
    role, database = sql.Identifier(values["DB_USER"]), sql.Identifier(values["DB_NAME"])
    connection = _connect(data, values["DB_PORT"])
    connection.autocommit = True  # CREATE DATABASE does not run inside a transaction.
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [values["DB_USER"]])
        verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
        cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password)))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [values["DB_NAME"]])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
    connection.close()


def _folder(folder: Path, account: Account) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, account.uid, account.gid)
    return folder


def _write(file: Path, content: str, account: Account) -> None:
    file.write_text(content)
    file.chmod(0o600)
    os.chown(file, account.uid, account.gid)


def _plain_environment() -> dict[str, str]:
    """What the servers see: nothing of the caller's settings (PGDATA, LC_ALL ...) that they would follow."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": "/"}
