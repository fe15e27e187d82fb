"""The condition of the database: schema, partitions and clock, for the diagnosis."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from mutt.store import migrations
from mutt.store.connections import Connection
from mutt.store.migrations import Status
from mutt.store.reading import fetch


class Condition(NamedTuple):
    """``clock_ahead_seconds`` is how far PostgreSQL's clock is ahead of this host's."""

    version: str
    clock_ahead_seconds: float
    migrations: list[Status]
    missing_partitions: list[str]
    default_rows: Mapping[str, int]


def look(connection: Connection) -> Condition:
    """The condition now. Partitions are only looked at once the schema is complete."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8, current_setting('server_version')")
        ((clock, version),) = cursor
        ahead = clock - time.time()
        standing = migrations.status(connection)
        if any(each.state is migrations.State.PENDING for each in standing):
            return Condition(version, ahead, standing, [], {})
        missing = [row["partition"] for row in fetch(cursor, "missing_partitions")]
        default_rows = {row["partition"]: row["rows"] for row in fetch(cursor, "default_partition_rows")}
    return Condition(version, ahead, standing, missing, default_rows)
