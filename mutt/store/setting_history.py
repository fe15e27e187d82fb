"""Reads the changes of one dynamic setting out of the configuration audit."""

from mutt.store.connections import Connection
from mutt.store.pool import Database
from mutt.store.reading import Row, fetch

TABLE = "dynamic_config"


def page(database: Database, key: str, limit: int, offset: int) -> tuple[list[Row], int]:
    """(rows, newest first, and how many there are in all). Raises OutageError."""

    def work(connection: Connection) -> tuple[list[Row], int]:
        wanted = {"table_name": TABLE, "record_id": key, "limit": limit, "offset": offset}
        with connection.cursor() as cursor:
            rows = fetch(cursor, "config_history", wanted)
            ((total,),) = (row.values() for row in fetch(cursor, "config_history_count", wanted))
        return rows, total

    return database.run(work)
