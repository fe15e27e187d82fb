"""Partitions into archives and back, and archives that have become too old."""

from datetime import datetime

from mutt.maintenance import files
from mutt.maintenance.files import Archive, Manifest
from mutt.maintenance.parts import PartFile, Parts
from mutt.maintenance.report import Action, Advance, Outcome
from mutt.maintenance.run import Run, shifted
from mutt.maintenance.session import UpkeepError
from mutt.store import migrations
from mutt.store import partitions as store
from mutt.store.connections import Connection
from mutt.store.partitions import RESTORED, TABLES, Mark, Partition, Table

ARCHIVE, RESTORE = "archive", "restore"


def archive_partitions(run: Run, partitions: list[Partition]) -> list[Action]:
    """Archives partitions as they are now and leaves them in the database."""
    return [_archive_partition(run, partition) for partition in partitions]


def _archive_partition(run: Run, partition: Partition) -> Action:
    rows = run.session.run(lambda connection: store.count_rows(connection, partition.name))
    if whole := matching(run, partition, rows):
        return Action(ARCHIVE, partition.name, f"is archived as {whole.name}", Outcome.KEPT, rows)
    if run.dry_run:
        return Action(ARCHIVE, partition.name, "archived", Outcome.WOULD_DO, rows)
    written = write(run, partition, rows)
    keep_only(run, partition, written)
    return Action(ARCHIVE, partition.name, f"archived as {written.name}", Outcome.DONE, written.manifest.rows)


def matching(run: Run, partition: Partition, rows: int) -> Archive | None:
    """The archive that holds exactly the rows of the partition, if there is one.

    Nobody changes a row or takes one away, so an archive of this very table with as many rows has the same ones.
    """
    restored_from = partition.mark.archive if partition.mark else ""
    for archive in _archives_of(run, partition):
        if archive.manifest.rows == rows and (_is_from(archive, partition) or archive.name == restored_from):
            return archive
    return None


def write(run: Run, partition: Partition, rows: int) -> Archive:
    """A new archive of the partition, read back and complete. Raises UpkeepError."""
    root, table = run.settings.archive_dir, partition.table
    columns = run.session.run(lambda connection: store.columns_of(connection, partition.name))

    def describe(parts: list[PartFile]) -> Manifest:
        return Manifest(
            table=table.name, name=partition.name, source=str(partition.oid), columns=columns, lower=partition.lower,
            upper=partition.upper, rows=sum(part.rows for part in parts), files=parts,
            schema_version=migrations.known()[-1].version, created=run.now,
        )  # fmt: skip

    def fill(parts: Parts) -> None:
        run.session.run(lambda connection: store.copy_out(connection, partition.name, parts))

    with run.talk.progress(f"archiving {partition.name}", rows) as advance:
        return files.write_archive(files.free_folder(root, table.name, partition.name), fill, describe, advance)


def keep_only(run: Run, partition: Partition, whole: Archive) -> None:
    """Removes the archives of this very table that ``whole`` has superseded: each of its rows is in there too."""
    for archive in _archives_of(run, partition):
        if _is_from(archive, partition) and archive.name != whole.name:
            files.remove(archive)


def _archives_of(run: Run, partition: Partition) -> list[Archive]:
    found = files.archives(run.settings.archive_dir, partition.table.name)
    return [archive for archive in found if archive.manifest.name == partition.name]


def _is_from(archive: Archive, partition: Partition) -> bool:
    return archive.manifest.source == str(partition.oid)


def remove_old_archives(run: Run) -> list[Action]:
    """Removes the archives of which everything is older than the limit."""
    if not run.settings.archive_years or not run.settings.archive_enabled:
        return []
    limit = shifted(run.now.replace(day=1), -12 * min(run.settings.archive_years, run.now.year - 1))
    old = [archive for archive in files.archives(run.settings.archive_dir) if archive.manifest.upper <= limit]
    return [_remove_old(run, archive) for archive in old]


def _remove_old(run: Run, archive: Archive) -> Action:
    what = f"archive older than {run.settings.archive_years} years removed"
    if run.dry_run:
        return Action(ARCHIVE, archive.name, what, Outcome.WOULD_DO, archive.manifest.rows)
    files.remove(archive)
    return Action(ARCHIVE, archive.name, what, Outcome.DONE, archive.manifest.rows)


# --- back into the database -------------------------------------------------------------------------------------


def restore(run: Run, archive: Archive, into_table: bool) -> list[Action]:
    """Brings the rows of an archive back; doing it twice brings none twice.

    They come into a table of their own, ``restored_`` and the archive's name, or ``into_table`` into the partitioned
    table itself, where retention leaves their month alone from then on. Raises UpkeepError.
    """
    table = _table_of(archive)
    target = table.name if into_table else side_table(archive)
    what = f"restored from {archive.name}"
    files.verify(archive)
    if run.dry_run:
        return [Action(RESTORE, target, what, Outcome.WOULD_DO, archive.manifest.rows)]
    columns = _columns(run, archive, table)
    if into_table:
        _make_room(run, archive, table)
    elif not run.session.run(lambda connection: store.exists(connection, target)):
        run.session.run(lambda connection: store.create_like(connection, table, target))
    with run.talk.progress(f"restoring {archive.name}", archive.manifest.rows) as advance:
        added = _insert(run, archive, table, target, columns, advance)
    there = archive.manifest.rows - added
    return [
        Action(RESTORE, target, what, Outcome.DONE, added),
        *([Action(RESTORE, target, f"rows of {archive.name} that were there", Outcome.KEPT, there)] if there else []),
    ]


def side_table(archive: Archive) -> str:
    return f"restored_{archive.name.replace('.', '_')}"


def _table_of(archive: Archive) -> Table:
    for table in TABLES:
        if table.name == archive.manifest.table:
            return table
    raise UpkeepError(f"{archive.folder} holds {archive.manifest.table}, which belongs into no table of the database")


def _columns(run: Run, archive: Archive, table: Table) -> list[str]:
    there = {column.name for column in run.session.run(lambda connection: store.columns_of(connection, table.name))}
    wanted = [column.name for column in archive.manifest.columns]
    if unknown := [name for name in wanted if name not in there]:
        raise UpkeepError(f"{archive.folder} has columns that {table.name} does not have: {', '.join(unknown)}")
    return wanted


def _make_room(run: Run, archive: Archive, table: Table) -> None:
    """Makes the partition that the rows go to, and marks it so that retention does not take it out again."""
    month, mark = archive.manifest.lower, _mark(archive, table)
    run.session.run_shortly_locked(table.name, lambda connection: store.make_partition(connection, table, month))
    run.session.run(lambda connection: store.set_mark(connection, table.partition(month), mark))


def _mark(archive: Archive, table: Table) -> Mark:
    lower, upper = archive.manifest.lower, archive.manifest.upper
    return Mark(RESTORED, table.name, lower, upper, archive.name)


def _insert(run: Run, archive: Archive, table: Table, target: str, columns: list[str], advance: Advance) -> int:
    lower, upper = archive.manifest.lower, archive.manifest.upper

    def work(connection: Connection) -> int:
        store.copy_in(connection, files.opened(archive, advance))
        return store.insert_lines(connection, table, target, columns, lower, upper)

    return run.session.run(work)


def limit_of(run: Run) -> datetime:
    """What ends before this time has to leave the database."""
    return run.before(run.settings.event_audit_days)
