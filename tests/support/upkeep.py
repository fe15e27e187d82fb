"""A database, a Redis and a folder for archives, and ``mutt-admin upkeep`` at work on them."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from click.testing import CliRunner
from psycopg2.extensions import connection as Connection  # noqa: N812 - the name a type should have

from mutt.cli.main import main
from mutt.maintenance import files
from tests.support import postgres, redis_server
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis

ROOT = Path(__file__).parents[2]

EVENTS = """
    INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, handling,
        ingestion_timestamp, content_hash, attributes)
    SELECT gen_random_uuid(), gen_random_uuid(), %(first)s::timestamptz + n * %(step)s::interval, 'rtr-' || n,
        'link ' || n || ' down' || repeat('.', %(padding)s), 'Log_only', now(), n, jsonb_build_object('n', n)
    FROM generate_series(1, %(rows)s) AS n
    RETURNING row_to_json(event_audit_log.*)::text
"""
DELIVERIES = """
    INSERT INTO alert_delivery_log (event_id, correlation_id, attempt, attempted_at, outcome, latency_ms)
    SELECT gen_random_uuid(), gen_random_uuid(), 1, %(first)s::timestamptz + n * %(step)s::interval, 'delivered',
        n / 7.0
    FROM generate_series(1, %(rows)s) AS n
    RETURNING row_to_json(alert_delivery_log.*)::text
"""


class Site:
    """One appliance's database, Redis and archives."""

    def __init__(self, server: PrivatePostgres, redis: PrivateRedis, folder: Path) -> None:
        self.database = server.create_migrated_database()
        self.archives = folder / "archive"
        self.dsn = server.dsn(self.database)
        (folder / "secrets.env").write_text(
            f"DB_PASS_CURRENT={postgres.PASSWORD}\nREDIS_PASS_CURRENT={redis_server.PASSWORD}\n"
        )
        (folder / "secrets.env").chmod(0o600)
        (folder / "mutt.env").write_text(
            f"DB_HOST=127.0.0.1\nDB_PORT={server.port}\nDB_NAME={self.database}\nDB_USER={postgres.ROLE}\n"
            f"DB_TLS_ENABLED=false\nREDIS_HOST=127.0.0.1\nREDIS_PORT={redis.port}\nREDIS_TLS_ENABLED=false\n"
            f"MUTT_SECRETS_BACKEND=file\nMUTT_SECRETS_FILE={folder / 'secrets.env'}\n"
            f"RETENTION_ARCHIVE_DIR={self.archives}\n"
        )
        self.environ = {"MUTT_ENV_FILE": str(folder / "mutt.env")}

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """``mutt-admin upkeep`` with these arguments, as its own process."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("MUTT_", "DB_", "RETENTION_"))}
        command = [sys.executable, "-c", "from mutt.cli.main import main; main()", "upkeep", *arguments]
        return subprocess.Popen(
            command, env={**clean, "PYTHONPATH": str(ROOT), **self.environ}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip

    def upkeep(self, *arguments: str, expect: int = 0) -> dict[str, Any]:
        """What it answers as JSON when run in this process; ``talk`` is what it says on standard error."""
        result = CliRunner(env=self.environ).invoke(main, ["upkeep", *arguments, "-o", "json"])
        assert result.exit_code == expect, (result.exit_code, result.output, result.exception)
        return {**(json.loads(result.stdout) if result.stdout else {}), "talk": result.stderr}

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with closing(psycopg2.connect(self.dsn, options="-c TimeZone=UTC")) as connection:
            connection.autocommit = True
            yield connection

    def fetch(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor) if cursor.description else []

    def fill(
        self, first: datetime, rows: int, step: str = "1 second", padding: int = 0, table: str = "events"
    ) -> list[str]:
        """Writes rows of ascending time, beginning one step after ``first``, and returns each as its JSON."""
        statement = EVENTS if table == "events" else DELIVERIES
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(statement, {"first": first, "rows": rows, "step": step, "padding": padding})
            return [row for (row,) in cursor]

    def count(self, table: str) -> int:
        ((rows,),) = self.fetch(f"SELECT count(*) FROM {table}")  # noqa: S608
        return int(rows)

    def at_work(self) -> bool:
        """Whether PostgreSQL still does something for an upkeep."""
        return bool(
            self.fetch(
                "SELECT 1 FROM pg_stat_activity WHERE application_name = 'mutt-upkeep' AND datname = current_database()"
            )
        )

    def holds_the_lock(self) -> bool:
        """Whether an upkeep is past its preparations."""
        return bool(
            self.fetch(
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND "
                "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )

    def tables(self, pattern: str) -> list[str]:
        found = self.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ %s ORDER BY 1", pattern)
        return [name for (name,) in found]

    def partitions(self, table: str) -> list[str]:
        statement = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1"
        return [name for (name,) in self.fetch(statement, table)]

    def rows_in_database(self, table: str) -> Counter[str]:
        """How often each row is in the table, or in a partition that was taken out of it; a row as its JSON."""
        rows: Counter[str] = Counter()
        for name in [table, *sorted({*self.tables(f"^{table}_[0-9]+$")} - {*self.partitions(table)})]:
            rows.update(row for (row,) in self.fetch(f"SELECT row_to_json(t)::text FROM {name} AS t"))  # noqa: S608
        return rows

    def rows_in_archives(self, table: str) -> Counter[str]:
        """How often each row is in the whole archives, every one of which must read back."""
        rows: Counter[str] = Counter()
        for archive in files.archives(self.archives, table):
            files.verify(archive)
            for part in archive.manifest.files:
                lines = gzip.decompress((archive.folder / part.name).read_bytes()).decode().split("\n")[:-1]
                rows.update(lines)
        return rows

    def archive_names(self) -> list[str]:
        return [archive.name for archive in files.archives(self.archives)]
