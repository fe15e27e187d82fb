"""The configuration audit of changes that are made outside PostgreSQL: recorded, then made, then marked as made.

A row that stays pending says that the change may or may not have been made. A change within PostgreSQL calls
``mutt.store.changes.record`` in its own transaction instead.
"""

import redis
import structlog

from mutt.admin.access import Author
from mutt.errors import OutageError
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.store import changes
from mutt.store.changes import Operation, Values, record
from mutt.store.connections import Connection
from mutt.store.pool import Database

__all__ = ["Changes", "publish_reload", "record"]

log = structlog.get_logger(__name__)


def publish_reload(client: redis.Redis) -> None:
    """Has the alerters read rules, development hosts and teams again, after the change was committed.

    Without Redis the change stands all the same: they read it at their next CACHE_RELOAD_INTERVAL.
    """
    try:
        with outages():
            client.publish(keys.RULES_UPDATES, "changed")
    except OutageError as outage:
        log.warning("the alerters were not told of a change; they will see it later", problem=str(outage))


class Changes:
    """Rows of the configuration audit for what lives in Redis."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, author: Author, operation: Operation, table: str, record_id: str | None, old: Values, new: Values
    ) -> int:
        """The id of a committed row with the status pending. Raises OutageError: then the change must not be made."""

        def work(connection: Connection) -> int:
            with connection.cursor() as cursor:
                return record(cursor, author, operation, table, record_id, old, new, "pending")

        return self._database.run(work)

    def applied(self, change_id: int) -> None:
        """Marks the change as made. Raises OutageError: the change stands, its row stays pending."""

        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                changes.mark_applied(cursor, change_id)

        self._database.run(work)
