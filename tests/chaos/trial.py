"""One row under way: its field, its load, its books."""

import contextlib
import itertools
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.chaos.accounting import Books, Stock, judge
from tests.chaos.control import Control
from tests.chaos.field import Field, private_redis
from tests.chaos.ledger import Ledger
from tests.chaos.load import Load, Mix
from tests.chaos.outcome import Outcome, Size
from tests.support.appliance import INGEST_KEY
from tests.support.postgres import PrivatePostgres


class SkipError(Exception):
    """The row cannot run on this machine; the text says why."""


class Stage:
    """Gives rows a field. One with the standard settings is used again, as long as the rows leave it well."""

    def __init__(self, postgres: PrivatePostgres) -> None:
        self.postgres = postgres
        self._pycache = Path(tempfile.mkdtemp(prefix="mutt-chaos-pycache-"))
        self._standing: Field | None = None

    @contextlib.contextmanager
    def standard(self) -> Iterator[Field]:
        """The field with the standard settings, at rest. A row that fails in it takes it down."""
        field = self._standing or self._started(private_redis())
        self._standing = None
        try:
            field.reset()
            yield field
            field.wait_healthy(60)
        except BaseException:
            field.dispose()
            raise
        self._standing = field

    @contextlib.contextmanager
    def special(self, redis_server: Any = None, **settings: str) -> Iterator[Field]:
        """A field of the row's own; ``redis_server`` runs already."""
        self.clear()
        field = self._started(redis_server or private_redis(), **settings)
        try:
            yield field
        finally:
            field.dispose()

    def clear(self) -> None:
        """Ends the standing field: two would fight for the processors."""
        if self._standing:
            self._standing.dispose()
            self._standing = None

    def close(self) -> None:
        self.clear()
        shutil.rmtree(self._pycache, ignore_errors=True)

    def _started(self, redis_server: Any, **settings: str) -> Field:
        field = Field(redis_server, self.postgres, self._pycache, **settings)
        try:
            field.start()
        except BaseException:
            field.dispose()
            raise
        return field


class Trial:
    """What a row works with; it fills ``outcome``."""

    def __init__(self, row: str, seed: int, size: Size, stage: Stage) -> None:
        self.row = row
        self.seed = seed
        self.size = size
        self.stage = stage
        self.name = f"{row}-{seed}"
        self.rng = random.Random(self.name)
        self.ledger = Ledger()
        self._loads = itertools.count(1)
        self.outcome = Outcome(row, seed, patience=size.patience)

    def load(self, field: Field, **mix: Any) -> Load:
        """A load client, started; ``mix`` differs from what the size of the row says."""
        chosen = {"events": self.size.events, "rate": self.size.rate, **mix}
        seed = f"{self.name}-{next(self._loads)}"
        return Load(field.ingest_url, INGEST_KEY, self.ledger, seed, Mix(**chosen)).start()

    def finish(self, load: Load) -> None:
        """Waits for the sources to be done, and notes what they were told: nothing but 202 and 503."""
        load.join()
        self.note_answers(load)

    def note_answers(self, load: Load) -> None:
        answers = self.outcome.notes.setdefault("answers", {})
        for answer, number in load.answers.items():
            answers[answer] = answers.get(answer, 0) + number
        self.outcome.none_of("answers other than 202 and 503", len(load.unexpected))
        if load.unexpected:
            self.outcome.notes["unexpected"] = load.unexpected[:3]

    def balance(self, field: Field, duplicates_allowed: int = 0, with_letters: bool = True) -> tuple[Stock, Books]:
        """Waits until the field is at rest and does the accounting."""
        field.wait_until_at_rest(180, with_letters)
        stock = field.take_stock()
        return stock, judge(self.outcome, self.ledger, stock, duplicates_allowed)

    def run_control(self, kind: str, blows: int) -> None:
        """Puts the naive workers through the same and checks that they fail."""
        losses = Control(self.stage.postgres, self.name).run(kind, blows)
        self.outcome.control_lost = sum(each.lost for each in losses.values())
        self.outcome.control_duplicates = sum(each.duplicates for each in losses.values())
        self.outcome.notes["control"] = {loop: each.__dict__ for loop, each in losses.items()}
        figure = self.outcome.control_lost + self.outcome.control_duplicates
        self.outcome.at_least("the control loses or doubles", figure, 1)


Row = Callable[[Trial], None]


def run_row(name: str, row: Row, seed: int, size: Size, stage: Stage) -> Outcome:
    """The outcome of a row; one that could not be carried through has failed and says why."""
    trial = Trial(name, seed, size, stage)
    started = time.monotonic()
    try:
        row(trial)
    except SkipError as reason:
        trial.outcome.skip(str(reason))
        return trial.outcome
    except Exception as error:  # noqa: BLE001 - whatever a row meets, the other rows shall run
        traceback.print_exc()
        trial.outcome.check("carried through", False, f"{type(error).__name__}: {error}"[:2000], "to the end")
    trial.outcome.close(time.monotonic() - started)
    return trial.outcome
