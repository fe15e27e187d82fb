"""Dead letters that nobody has looked at for too long leave Redis, into an archive.

They are put aside in a list of their own first, so that neither remediation nor a person can take one that is being
archived; an interrupted run finds them there. The archive's name is the digest of what it holds: what was archived
already, and not yet taken off that list, is recognised.
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import redis

from mutt.events import dead_letter
from mutt.maintenance import files
from mutt.maintenance.files import Archive, Manifest
from mutt.maintenance.parts import PartFile, Parts
from mutt.maintenance.report import Action, Outcome
from mutt.maintenance.run import Run
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.redisdb.scripts import EXPIRE
from mutt.settings import QueueSettings
from mutt.store import migrations

DEAD_LETTERS = "dead-letters"

FOLDER = "dead_letters"

LOOK_AT = 1000
"""How many dead letters are read at once."""

PUT_ASIDE_AT_ONCE = 100
"""Each is searched for in its list, and Redis does nothing else meanwhile."""

MOST_IN_AN_ARCHIVE = 10_000


def expire(run: Run, client: redis.Redis, queues: QueueSettings) -> list[Action]:
    """Takes the dead letters that are older than their limit out of Redis. Raises OutageError or UpkeepError."""
    limits = dict.fromkeys((queues.alerter_dlq, queues.moog_dlq, keys.DLQ_INGEST), run.settings.dead_letter_days)
    limits[keys.POISON] = run.settings.poison_days
    with outages():
        return [action for name, days in limits.items() for action in _expire_list(run, client, name, days)]


def _expire_list(run: Run, client: redis.Redis, name: str, days: int) -> list[Action]:
    if not run.dry_run:
        _archive_what_is_aside(run, client, name)
    if not days:
        return []
    limit = run.before(days)
    old = sum(len(records) for records in _old_ones(client, name, limit, lambda _records: 0))
    if not old:
        return []
    may_go = run.settings.archive_enabled or run.settings.drop_dead_letters
    what = f"older than {days} days, {_fate(run)}"
    if run.dry_run or not may_go:
        return [Action(DEAD_LETTERS, name, what, Outcome.WOULD_DO if may_go else Outcome.KEPT, old)]
    with run.talk.progress(f"taking old dead letters out of {name}", old) as advance:
        gone = 0
        for moved in _put_aside(client, name, limit):
            gone += moved
            advance(moved)
            if client.llen(_aside(name)) >= MOST_IN_AN_ARCHIVE:
                _archive_what_is_aside(run, client, name)
        _archive_what_is_aside(run, client, name)
    return [Action(DEAD_LETTERS, name, what, Outcome.DONE, gone)]


def _fate(run: Run) -> str:
    if run.settings.archive_enabled:
        return "archived and removed"
    return "removed without an archive" if run.settings.drop_dead_letters else "kept: there is no archive for them"


def _put_aside(client: redis.Redis, name: str, limit: datetime) -> Iterator[int]:
    """How many were put aside, batch by batch."""
    moved = 0

    def taken(records: list[bytes]) -> int:
        nonlocal moved
        moved = sum(
            EXPIRE.run(client, [name, _aside(name)], list(records[start : start + PUT_ASIDE_AT_ONCE]))
            for start in range(0, len(records), PUT_ASIDE_AT_ONCE)
        )
        return moved

    for _ in _old_ones(client, name, limit, taken):
        yield moved


def _old_ones(
    client: redis.Redis, name: str, limit: datetime, taken: Callable[[list[bytes]], int]
) -> Iterator[list[bytes]]:
    """The old dead letters of a list, from its old end. ``taken`` says how many of them it has removed."""
    passed = 0
    while True:
        records: list[bytes] = client.lrange(name, -(passed + LOOK_AT), -(passed + 1))  # type: ignore[assignment]
        if not records:
            return
        old = [record for record in reversed(records) if _is_old(record, limit)]
        passed += len(records) - (taken(old) if old else 0)
        if old:
            yield old


def _failed_at(record: bytes) -> datetime | None:
    """When a dead letter failed. None for what is no dead letter, and for one with line breaks, which is none of ours:
    both stay for a person to look at."""
    letter = dead_letter.exhume(record)
    if letter is None or b"\n" in record:
        return None
    return letter.failed_at if letter.failed_at.tzinfo else letter.failed_at.replace(tzinfo=UTC)


def _is_old(record: bytes, limit: datetime) -> bool:
    failed_at = _failed_at(record)
    return failed_at is not None and failed_at < limit


def _aside(name: str) -> str:
    return keys.UPKEEP_PREFIX + name


def _archive_what_is_aside(run: Run, client: redis.Redis, name: str) -> None:
    """Empties the list of those put aside, into an archive if there is to be one."""
    records: list[bytes] = client.lrange(_aside(name), 0, -1)  # type: ignore[assignment]
    if not records:
        return
    if run.settings.archive_enabled:
        _archived(run, name, records[::-1])
    client.delete(_aside(name))


def _archived(run: Run, name: str, records: list[bytes]) -> Archive:
    lines = b"".join(record + b"\n" for record in records)
    digest = hashlib.sha256(lines).hexdigest()
    folder = run.settings.archive_dir / FOLDER / f"{name.replace(':', '_')}.{digest[:16]}"
    for archive in files.archives(run.settings.archive_dir, FOLDER):
        if archive.manifest.name == name and archive.manifest.source == digest:
            files.verify(archive)
            return archive
    times = [failed_at for record in records if (failed_at := _failed_at(record))]

    def describe(parts: list[PartFile]) -> Manifest:
        return Manifest(
            table=FOLDER, name=name, source=digest, columns=[], lower=min(times), upper=max(times),
            rows=len(records), files=parts, schema_version=migrations.known()[-1].version, created=run.now,
        )  # fmt: skip

    def fill(parts: Parts) -> None:
        parts.write(lines)

    return files.write_archive(folder, fill, describe, lambda _rows: None)
