"""Months that are over leave the database: archived, taken out of the table, and dropped.

A partition is archived while it is still seen, then detached, which freezes it, and dropped when an archive that was
read back holds all its rows. Late rows that came in between are found by their number, and it is archived again. Its
comment says what it is, so that a run that was interrupted is gone on with.
"""

from collections.abc import Callable, Iterator

from mutt.maintenance import archive, files
from mutt.maintenance.report import Action, Outcome
from mutt.maintenance.run import Run
from mutt.store import partitions as store
from mutt.store.connections import Connection
from mutt.store.partitions import RESTORED, TABLES, Partition, Table

RETENTION = "retention"


def due(run: Run) -> list[Partition]:
    """The partitions that hold nothing younger than the limit, oldest first."""
    limit = archive.limit_of(run)
    return [partition for partition in from_all_tables(run, store.partitions_of) if partition.upper <= limit]


def finish_interrupted(run: Run) -> Iterator[Action]:
    """Archives and drops what an interrupted run has detached."""
    return (_drop_detached(run, partition) for partition in from_all_tables(run, store.detached_from))


def from_all_tables(run: Run, look: Callable[[Connection, Table], list[Partition]]) -> list[Partition]:
    """What ``look`` finds, for the audit log and the delivery log."""
    return run.session.run(lambda connection: [partition for table in TABLES for partition in look(connection, table)])


def retire(run: Run, restored_too: bool) -> Iterator[Action]:
    """Archives, takes out and drops every partition that is due; those that were restored only when asked for."""
    return (_retire(run, partition, restored_too) for partition in due(run))


def _retire(run: Run, partition: Partition, restored_too: bool) -> Action:
    rows = run.session.run(lambda connection: store.count_rows(connection, partition.name))
    if partition.mark and partition.mark.mutt_upkeep == RESTORED and not restored_too:
        what = f"restored from {partition.mark.archive}; `upkeep retention --restored` takes it out"
        return Action(RETENTION, partition.name, what, Outcome.KEPT, rows)
    if run.dry_run:
        return Action(RETENTION, partition.name, _fate(run, rows), Outcome.WOULD_DO, rows)
    if rows and run.settings.archive_enabled and not archive.matching(run, partition, rows):
        archive.write(run, partition, rows)
    run.session.run_shortly_locked(partition.name, lambda connection: store.detach(connection, partition))
    return _drop_detached(run, partition)


def _drop_detached(run: Run, partition: Partition) -> Action:
    """Drops a partition that is part of nothing any more, once its rows are safe."""
    rows = run.session.run(lambda connection: store.count_rows(connection, partition.name))
    if run.dry_run:
        return Action(RETENTION, partition.name, _fate(run, rows), Outcome.WOULD_DO, rows)
    what = _fate(run, rows)
    if rows and run.settings.archive_enabled:
        kept = archive.matching(run, partition, rows) or archive.write(run, partition, rows)
        files.verify(kept)
        archive.keep_only(run, partition, kept)
        what += f" ({kept.name})"
    run.session.run(lambda connection: store.drop(connection, partition.name))
    return Action(RETENTION, partition.name, what, Outcome.DONE, rows)


def _fate(run: Run, rows: int) -> str:
    if not rows:
        return "dropped, it was empty"
    return "archived and dropped" if run.settings.archive_enabled else "dropped without an archive"
