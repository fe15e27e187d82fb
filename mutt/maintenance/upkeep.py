"""All of upkeep in its order, each step on its own feet."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import psycopg2
import redis

from mutt.errors import MuttError
from mutt.maintenance import archive, dead_letters, files, partitions, retention
from mutt.maintenance.report import Action, Outcome
from mutt.maintenance.run import Run
from mutt.maintenance.session import as_upkeep_error
from mutt.settings import QueueSettings

Step: TypeAlias = Callable[[], Iterable[Action]]


def everything(run: Run, client: redis.Redis, queues: QueueSettings) -> list[Action]:
    """Does what is due. A step that fails is told of and does not keep the others from their work.

    What an interrupted run has detached goes first: its name may be the one that a partition needs.
    """
    steps: list[tuple[str, Step]] = [
        (retention.RETENTION, lambda: tidy(run)),
        (partitions.AHEAD, lambda: partitions.make_ahead(run)),
        (partitions.DEFAULT, lambda: partitions.empty_default(run)),
        (retention.RETENTION, lambda: retention.retire(run, restored_too=False)),
        (archive.ARCHIVE, lambda: archive.remove_old_archives(run)),
        (dead_letters.DEAD_LETTERS, lambda: dead_letters.expire(run, client, queues)),
    ]
    return [action for name, step in steps for action in _attempt(run, name, step)]


def tidy(run: Run) -> Iterator[Action]:
    """Goes on with what an interrupted run has begun."""
    if run.settings.archive_enabled and not run.dry_run:
        files.clear_unfinished(run.settings.archive_dir)
    return retention.finish_interrupted(run)


def _attempt(run: Run, name: str, step: Step) -> list[Action]:
    """What the step has done, and why it ended if it failed."""
    actions: list[Action] = []
    try:
        for action in step():
            actions.append(action)  # One by one: what was done before a failure is told too.
    except psycopg2.Error as error:
        failure: MuttError = as_upkeep_error(error)
    except MuttError as error:
        failure = error
    else:
        return actions
    run.talk.say(f"{name} failed: {failure}")
    return [*actions, Action(name, "", str(failure), Outcome.FAILED)]
