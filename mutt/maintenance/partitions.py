"""Sees to it that every month has its partition before its first row comes, and empties the default partition."""

from datetime import datetime

from mutt.maintenance.report import Action, Outcome
from mutt.maintenance.run import Run, month_of, shifted
from mutt.store import partitions as store
from mutt.store.partitions import TABLES, Partition, Table, month_after

FAR_MONTHS = 24
"""Rows of the default partition whose time is further away than this, back or ahead, come from a wrong clock: the
partitions for such months would never end. They stay."""

AHEAD, DEFAULT = "partitions", "default-partition"


def make_ahead(run: Run) -> list[Action]:
    """Makes the missing partitions of this month and those ahead."""
    months = [shifted(month_of(run.now), ahead) for ahead in range(run.settings.precreate_months + 1)]
    actions = [_complete(run, AHEAD, table, month) for table in TABLES for month in months]
    return [action for action in actions if action]


def empty_default(run: Run) -> list[Action]:
    """Moves the rows of every month that is not far away out of the default partitions, and tells what stays."""
    return [action for table in TABLES for action in _empty_default_of(run, table)]


def _empty_default_of(run: Run, table: Table) -> list[Action]:
    held = _held(run, table)
    actions = [_complete(run, DEFAULT, table, month, rows) for month, rows in held.items()]
    if held and not run.dry_run:
        run.session.run_outside_transaction(lambda connection: store.vacuum_default(connection, table))
        held = _held(run, table)
    total = run.session.run(lambda connection: store.count_rows(connection, table.fallback))
    if far := total - sum(held.values()):
        what = f"rows whose time is more than {FAR_MONTHS} months away stay"
        actions.append(Action(DEFAULT, table.fallback, what, Outcome.KEPT, far))
    return [action for action in actions if action]


def _held(run: Run, table: Table) -> dict[datetime, int]:
    month = month_of(run.now)
    since, until = shifted(month, -FAR_MONTHS), shifted(month, FAR_MONTHS + 1)
    return run.session.run(lambda connection: store.months_in_default(connection, table, since, until))


def _complete(run: Run, step: str, table: Table, month: datetime, rows: int = 0) -> Action | None:
    """Brings the partition of a month to its whole range; None when it has that already."""
    name = table.partition(month)
    grown = _found(run, table, name)
    if grown and grown.upper >= month_after(month):
        return None
    what = f"rows of {month:%Y-%m} moved out of the default partition" if rows else "partition made"
    if not grown and run.session.run(lambda connection: store.exists(connection, name)):
        return Action(step, name, f"a table of this name is no partition of {table.name}", Outcome.KEPT, rows)
    if run.dry_run:
        return Action(step, name, what, Outcome.WOULD_DO, rows)
    return Action(step, name, what, Outcome.DONE, _fill(run, table, month, grown, rows))


def _found(run: Run, table: Table, name: str) -> Partition | None:
    found = run.session.run(lambda connection: store.partitions_of(connection, table))
    return next((partition for partition in found if partition.name == name), None)


def _fill(run: Run, table: Table, month: datetime, grown: Partition | None, rows: int) -> int:
    """Moves the rows of a month batch by batch, growing its partition, and returns how many they were.

    Each batch is one transaction, so a run that ends here leaves a shorter partition that the next one goes on with.
    """
    name, end, moved = table.partition(month), month_after(month), 0
    with run.talk.progress(f"moving rows to {name}", rows) as advance:
        while True:
            lower = grown.upper if grown else month
            batch = _move_batch(run, table, month, lower, grown)
            moved += batch
            advance(batch)
            grown = _found(run, table, name)
            if grown is None or grown.upper >= end:
                return moved


def _move_batch(run: Run, table: Table, month: datetime, lower: datetime, grown: Partition | None) -> int:
    name, end = table.partition(month), month_after(month)
    cut = run.session.run(lambda connection: store.next_cut(connection, table, lower, end, run.settings.batch_rows))
    if cut < end or grown:
        return run.session.run_shortly_locked(
            name, lambda connection: store.grow_partition(connection, table, month, cut, grown)
        )
    run.session.run_shortly_locked(name, lambda connection: store.make_partition(connection, table, month))
    return run.session.run(lambda connection: store.count_rows(connection, name))
