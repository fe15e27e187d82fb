"""``mutt-admin upkeep``: partitions, retention, archives and old dead letters, by a timer and by hand."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mutt import settings
from mutt.cli.exits import CONFLICT, FAILED, UNHEALTHY, CliError
from mutt.cli.output import Column, Listing, output_option, say, show, talk_console
from mutt.credentials import open_credentials
from mutt.maintenance import archive as archiving
from mutt.maintenance import dead_letters as expiry
from mutt.maintenance import files, retention
from mutt.maintenance import partitions as partitioning
from mutt.maintenance import upkeep as steps
from mutt.maintenance.files import Archive
from mutt.maintenance.report import Action, Advance, Outcome
from mutt.maintenance.run import Run
from mutt.maintenance.session import BusyError, UpkeepError, open_session
from mutt.redisdb.client import connect
from mutt.store import partitions as store
from mutt.store.partitions import Partition

ACTIONS: Listing[Action] = Listing(
    (
        Column("STEP", lambda action: action.step),
        Column("SUBJECT", lambda action: action.subject),
        Column("OUTCOME", lambda action: action.outcome.value),
        Column("ROWS", lambda action: action.rows),
        Column("WHAT", lambda action: action.what, long=True),
    ),
    lambda action: action.subject,
)

ARCHIVES: Listing[Archive] = Listing(
    (
        Column("ARCHIVE", lambda archive: archive.name),
        Column("FROM", lambda archive: archive.manifest.lower),
        Column("TO", lambda archive: archive.manifest.upper),
        Column("ROWS", lambda archive: archive.manifest.rows),
        Column("MIB", lambda archive: f"{sum(file.bytes for file in archive.manifest.files) / 2**20:.1f}"),
        Column("CREATED", lambda archive: archive.manifest.created),
        Column("FOLDER", lambda archive: archive.folder, wide=True),
    ),
    lambda archive: archive.name,
)

dry_run_option = click.option("--dry-run", is_flag=True, help="Change nothing, only tell what would be done.")


class TerminalTalk:
    """Talks on standard error, with progress bars where a person looks on."""

    def say(self, sentence: str, /) -> None:
        say(sentence)

    @contextmanager
    def progress(self, what: str, rows: int, /) -> Iterator[Advance]:
        console = talk_console()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
            task = progress.add_task(what, total=rows or None)
            yield lambda done: progress.advance(task, done)


@click.group()
def upkeep() -> None:
    """Look after what grows: partitions, retention, archives, old dead letters.

    mutt-upkeep.timer does `mutt-admin upkeep run` every day. Every command can be interrupted and repeated, and only
    one runs at a time at a database.
    """


@upkeep.command("run")
@dry_run_option
@output_option
def run_everything(dry_run: bool, output: str) -> None:
    """Do all that is due; ends with exit code 1 when a step failed, and with 0 when another run is at work."""
    wanted = settings.load(settings.Upkeep)
    client = connect(wanted.redis, _credentials(wanted), "mutt-upkeep")
    try:
        with _run(wanted, dry_run) as run:
            _tell(output, dry_run, steps.everything(run, client, wanted.queues))
    except BusyError as busy:
        say(f"{busy}; it does what this one would have done")
        _tell(output, dry_run, [])
    finally:
        client.close()


@upkeep.command()
@dry_run_option
@output_option
def partitions(dry_run: bool, output: str) -> None:
    """Make the partitions of this month and of RETENTION_PRECREATE_MONTHS ahead."""
    _do(output, dry_run, partitioning.make_ahead)


@upkeep.command("default-partition")
@dry_run_option
@output_option
def default_partition(dry_run: bool, output: str) -> None:
    """Move the rows in the default partitions to the partitions of their months.

    They are moved in batches of RETENTION_BATCH_ROWS. Rows whose time is more than two years away, back or ahead,
    stay.
    """
    _do(output, dry_run, partitioning.empty_default)


@upkeep.command("retention")
@click.option("--restored", is_flag=True, help="Take out restored months too.")
@dry_run_option
@output_option
def retention_command(restored: bool, dry_run: bool, output: str) -> None:
    """Archive and drop the months of the audit and the delivery log that are older than RETENTION_EVENT_AUDIT_DAYS."""
    _do(output, dry_run, lambda run: [*steps.tidy(run), *retention.retire(run, restored)])


@upkeep.command()
@click.argument("partition", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="List the archives instead.")
@click.option("--verify", is_flag=True, help="Read every archive back instead; exit code 6 when one is damaged.")
@dry_run_option
@output_option
def archive(partition: tuple[str, ...], listed: bool, verify: bool, dry_run: bool, output: str) -> None:
    """Archive PARTITIONs, which stay in the database, and remove archives older than RETENTION_ARCHIVE_YEARS.

    Without PARTITION, those that retention would take out.
    """
    if listed or verify:
        _look_at_archives(output, verify)
        return
    _do(output, dry_run, lambda run: [*_archive(run, partition), *archiving.remove_old_archives(run)])


@upkeep.command()
@click.argument("archive")
@click.option("--into-table", is_flag=True, help="Into the partitioned table itself; retention then leaves it there.")
@dry_run_option
@output_option
def restore(archive: str, into_table: bool, dry_run: bool, output: str) -> None:
    """Bring the rows of ARCHIVE, a name of `upkeep archive --list` or a folder, back into the database.

    They come into a table of their own, restored_ARCHIVE. Doing it twice brings no row twice.
    """
    wanted = settings.load(settings.Upkeep)
    found = files.find(wanted.maintenance.archive_dir, archive)
    _do(output, dry_run, lambda run: archiving.restore(run, found, into_table))


@upkeep.command("dead-letters")
@dry_run_option
@output_option
def dead_letters(dry_run: bool, output: str) -> None:
    """Archive and remove dead letters older than RETENTION_DLQ_DAYS, poison older than RETENTION_POISON_DAYS."""
    wanted = settings.load(settings.Upkeep)
    client = connect(wanted.redis, _credentials(wanted), "mutt-upkeep")
    try:
        _do(output, dry_run, lambda run: expiry.expire(run, client, wanted.queues))
    finally:
        client.close()


# --- helpers ----------------------------------------------------------------------------------------------------


def _do(output: str, dry_run: bool, step: Callable[[Run], Iterable[Action]]) -> None:
    """Runs one step and shows what it did."""
    try:
        with _run(settings.load(settings.Upkeep), dry_run) as run:
            actions = list(step(run))
    except BusyError as busy:
        raise CliError(f"{busy}; nothing was done", CONFLICT) from busy
    _tell(output, dry_run, actions)


@contextmanager
def _run(wanted: settings.Upkeep, dry_run: bool) -> Iterator[Run]:
    limits = wanted.maintenance
    with open_session(wanted.database, _credentials(wanted), limits.lock_timeout_seconds) as session:
        yield Run(session, limits, TerminalTalk(), datetime.now(UTC), dry_run)


def _credentials(wanted: settings.Upkeep) -> Any:
    credentials = open_credentials(wanted.credentials)
    credentials.refresh()
    return credentials


def _tell(output: str, dry_run: bool, actions: list[Action]) -> None:
    """Shows the summary; ends with exit code 1 when something failed."""
    counts = {outcome: sum(action.outcome is outcome for action in actions) for outcome in Outcome}
    answer = {"dry_run": dry_run, "actions": actions, **{outcome.replace(" ", "_"): n for outcome, n in counts.items()}}
    if actions or output != "table":
        show(output, actions, ACTIONS, answer)
    told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
    say(f"{'dry run: ' if dry_run else ''}{told or 'nothing to do'}")
    if counts[Outcome.FAILED]:
        raise CliError("not everything could be done", FAILED)


def _archive(run: Run, names: tuple[str, ...]) -> list[Action]:
    if not run.dry_run:
        files.clear_unfinished(run.settings.archive_dir)
    chosen = _partitions_named(run, names) if names else retention.due(run)
    return archiving.archive_partitions(run, chosen)


def _partitions_named(run: Run, names: tuple[str, ...]) -> list[Partition]:
    there = {partition.name: partition for partition in retention.from_all_tables(run, store.partitions_of)}
    if unknown := [name for name in names if name not in there]:
        raise UpkeepError(f"no partition is named {', '.join(unknown)}; there are {', '.join(there)}")
    return [there[name] for name in names]


def _look_at_archives(output: str, verify: bool) -> None:
    """Lists the archives; with ``verify`` reads each of them back first."""
    found = files.archives(settings.load(settings.Upkeep).maintenance.archive_dir)
    damaged = [sentence for archive in found if verify and (sentence := _damage(archive))]
    answer = {
        "archives": [{"name": each.name, "folder": str(each.folder), "manifest": each.manifest} for each in found]
    }
    show(output, found, ARCHIVES, answer)
    if damaged:
        raise CliError("; ".join(damaged), UNHEALTHY)


def _damage(archive: Archive) -> str | None:
    try:
        files.verify(archive)
    except UpkeepError as error:
        return str(error)
    return None
