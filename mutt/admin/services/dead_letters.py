"""Dead letters: looking into the lists, editing, replaying and discarding what lies there.

Each change is recorded before it is made, see ``mutt.admin.services.changes``. What a choice means is settled by one
walk through the list, so that letters which come in during the change are left alone.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import redis
import structlog

from mutt.admin.access import Author
from mutt.admin.services import letter_views
from mutt.admin.services.changes import Changes
from mutt.admin.services.replaying import SERVICES, Replaying
from mutt.admin.services.rule_tests import Admission
from mutt.admin.shapes.common import DEFAULT_LIMIT
from mutt.admin.shapes.dead_letters import (
    EditedLetter,
    Letter,
    LetterChoice,
    LetterEdit,
    LetterFilter,
    LetterList,
    LetterLists,
    LetterOutcome,
    LetterPage,
    LetterReplay,
)
from mutt.errors import EventError, OutageError, Reason, RequestError
from mutt.events import dead_letter
from mutt.observability.metrics import WebUIMetrics, timed_scan
from mutt.queues.letters import Discard, Fate, LetterBox, Moved, Replay, letter_id
from mutt.redisdb import keys
from mutt.settings import QueueSettings, RemediationSettings
from mutt.store.changes import Operation

log = structlog.get_logger(__name__)

TABLE = "dead_letters"
LOOK_AT = 10_000
"""Newest letters of a list that are grouped or searched."""

KEPT_LETTERS = 100
KEPT_BYTES = 1024 * 1024
KEPT_IDS = 1000
"""What of a change's letters is written into the audit."""

GONE = "no longer in the list: somebody else has taken it"
WAITS = "the same message already waits in the retry set"
WHAT = {
    "ingest": "events that ingest refused; nobody replays them by themselves",
    "alerter": "events that could not be audited, or were parked under load; remediation replays them",
    "moog": "alerts that could not be delivered; remediation replays them while the webhook answers",
    "poison": "letters whose replays are used up; they wait for a person",
}


@dataclass(slots=True)
class _Chosen:
    """The letters that a choice means, with as much of them as the audit keeps."""

    wanted: "Counter[str]" = field(default_factory=Counter)
    letters: list[str] = field(default_factory=list)
    skipped: "Counter[str]" = field(default_factory=Counter)
    kept_bytes: int = 0

    def add(self, name: str, record: bytes) -> None:
        self.wanted[name] += 1
        if len(self.letters) < KEPT_LETTERS and self.kept_bytes + len(record) <= KEPT_BYTES:
            self.letters.append(record.decode("utf-8", "replace"))
            self.kept_bytes += len(record)

    def audited(self, letters: bool) -> dict[str, Any]:
        """The old values of the change."""
        values: dict[str, Any] = {"count": self.wanted.total(), "ids": list(self.wanted)[:KEPT_IDS]}
        return values | {"letters": [_readable(each) for each in self.letters]} if letters else values


class DeadLetters:
    """What an operator can do about dead letters."""

    def __init__(
        self,
        client: redis.Redis,
        changes: Changes,
        queues: QueueSettings,
        admission: Admission,
        remediation: RemediationSettings,
        metrics: WebUIMetrics,
    ) -> None:
        names = {
            "ingest": keys.DLQ_INGEST,
            "alerter": queues.alerter_dlq,
            "moog": queues.moog_dlq,
            "poison": keys.POISON,
        }
        self._boxes = {name: LetterBox(client, key) for name, key in names.items()}
        self._changes = changes
        self._replaying = Replaying(queues, admission)
        self._remediation = remediation
        self._metrics = metrics

    # --- looking ----------------------------------------------------------------------------------------------

    def lists(self) -> LetterLists:
        """Every list with its newest letters grouped by reason. Raises OutageError."""
        lists = []
        for name, box in self._boxes.items():
            depth = box.depth()
            with timed_scan(self._metrics):
                groups, looked_at = letter_views.group(box.newest_first(min(depth, LOOK_AT)))
            lists.append(LetterList(name=name, depth=depth, looked_at=looked_at, what=WHAT[name], groups=groups))
        return LetterLists(lists=lists, total=sum(each.depth for each in lists))

    def letters(self, wanted: LetterFilter, default_limit: int = DEFAULT_LIMIT) -> LetterPage:
        """One page of a list, the newest letter first. A filter looks at the newest 10,000. Raises OutageError."""
        box, limit = self._boxes[wanted.name], wanted.limit or default_limit
        start, depth = (wanted.page - 1) * limit, box.depth()
        if wanted.reason is None and not wanted.q:
            records, total, looked_at = box.newest(start, limit), depth, depth
        else:
            looked_at = min(depth, LOOK_AT)
            with timed_scan(self._metrics):
                found = [record for record in box.newest_first(looked_at) if _fits(record, wanted)]
            records, total = found[start : start + limit], len(found)
        letters = [letter_views.view(wanted.name, each, self._remediation, wanted.payload) for each in records]
        return LetterPage(total=total, page=wanted.page, limit=limit, letters=letters, looked_at=looked_at)

    def letter(self, name: str, wanted: str) -> Letter:
        """One letter whole. Raises RequestError (404) when it is not in the list, and OutageError."""
        return letter_views.view(name, self._record(name, wanted), self._remediation, payload=True, whole=True)

    def _record(self, name: str, wanted: str) -> bytes:
        record = self._boxes[name].find(wanted)
        if record is None:
            raise RequestError(Reason.NOT_FOUND, 404, f"there is no letter {wanted} in {name!r}; {GONE}")
        return record

    # --- changing ---------------------------------------------------------------------------------------------

    def edit(self, name: str, wanted: str, edit: LetterEdit, author: Author) -> EditedLetter:
        """Gives a letter another message; it stays where it is, under a new id.

        Raises RequestError: 400 for a message that is no object, 404, 409 when it was taken meanwhile; OutageError.
        """
        if not isinstance(edit.payload, dict):
            raise RequestError(Reason.INVALID_FIELD, 400, "payload must be a JSON object", field="payload")
        record = self._record(name, wanted)
        letter = dead_letter.found(record, SERVICES.get(name, ""), datetime.now(UTC))
        edited = dead_letter.encode(msgspec.structs.replace(letter, payload=edit.payload))
        old = {"id": wanted, "letter": _readable(record.decode("utf-8", "replace"))}
        new = {"id": letter_id(edited), "payload": edit.payload}
        change = self._changes.begin(author, "UPDATE", TABLE, wanted, old, new)
        if not self._boxes[name].edit(record, edited):
            raise RequestError(Reason.CONFLICT, 409, f"the letter is {GONE}; it was not edited")
        self._applied(change)
        return EditedLetter(id=letter_id(edited), message=self._after_edit(name, edited))

    def _after_edit(self, name: str, edited: bytes) -> str:
        try:
            self._replaying.replay(name, edited)
        except EventError as error:
            return f"the letter was edited, but it cannot be replayed yet: {error}"
        return "the letter was edited and can be replayed"

    def replay(self, name: str, choice: LetterReplay, author: Author) -> LetterOutcome:
        """Puts letters back where they came from; one that would only fail again stays, with the reason.

        With a rate they wait in the retry set and come one by one. Raises RequestError (400) and OutageError.
        """
        chosen = self._choose(name, choice)
        if choice.dry_run:
            return self._rehearse(name, choice, chosen)
        replayer = _Replayer(self._boxes[name], self._replaying, name, choice.rate_per_second)
        new = {"action": "replay", "rate_per_second": choice.rate_per_second, **_described(choice)}
        outcomes = self._change(name, chosen, "UPDATE", chosen.audited(letters=False), new, author, replayer.prepare)
        return _outcome("replayed", outcomes, chosen.skipped + replayer.refused, choice.rate_per_second)

    def _rehearse(self, name: str, choice: LetterReplay, chosen: _Chosen) -> LetterOutcome:
        replayer = _Replayer(self._boxes[name], self._replaying, name, choice.rate_per_second)
        box, left = self._boxes[name], Counter(chosen.wanted)
        for record in box.oldest_first() if left else ():
            if left[letter_id(record)] > 0:
                left[letter_id(record)] -= 1
                replayer.prepare(record)
        prepared = Counter({Moved.DONE: replayer.prepared})
        skipped = chosen.skipped + replayer.refused
        outcome = _outcome("would be replayed", prepared, skipped, choice.rate_per_second)
        return msgspec.structs.replace(outcome, dry_run=True)

    def discard(self, name: str, choice: LetterChoice, author: Author) -> LetterOutcome:
        """Removes letters for good; the audit keeps up to 100 of them. Raises RequestError (400) and OutageError."""
        if not (choice.reason or "").strip():
            raise RequestError(
                Reason.INVALID_FIELD, 400, "reason is required: the audit has to say why letters were discarded",
                field="reason",
            )  # fmt: skip
        chosen = self._choose(name, choice)
        if choice.dry_run:
            outcome = _outcome("would be discarded", Counter({Moved.DONE: chosen.wanted.total()}), chosen.skipped)
            return msgspec.structs.replace(outcome, dry_run=True)
        new = {"action": "discard", **_described(choice)}
        old = chosen.audited(letters=True)
        outcomes = self._change(name, chosen, "DELETE", old, new, author, lambda _record: Discard())
        return _outcome("discarded", outcomes, chosen.skipped)

    def _choose(self, name: str, choice: LetterChoice) -> _Chosen:
        """The letters that the choice means now. Raises RequestError (400) unless it is exactly one of the three."""
        given = [each for each in ("ids", "with_reason", "all") if getattr(choice, each) not in (None, False)]
        if len(given) != 1:
            raise RequestError(
                Reason.INVALID_FIELD, 400,
                f"say which letters: exactly one of ids, with_reason and all, not {' and '.join(given) or 'none'}",
                field=given[-1] if given else "ids",
            )  # fmt: skip
        ids, chosen = None if choice.ids is None else set(choice.ids), _Chosen()
        for record in self._boxes[name].oldest_first():
            own_id = letter_id(record)
            if choice.all or (
                own_id in ids if ids is not None else letter_views.reason_of(record) == choice.with_reason
            ):
                chosen.add(own_id, record)
        missing = len(ids - chosen.wanted.keys()) if ids is not None else 0
        if missing:
            chosen.skipped[GONE] = missing
        return chosen

    def _change(
        self,
        name: str,
        chosen: _Chosen,
        operation: Operation,
        old: dict[str, Any],
        new: dict[str, Any],
        author: Author,
        decide: Callable[[bytes], Fate | None],
    ) -> "Counter[Moved]":
        """Records the change, makes it and marks it; nothing at all when no letter was chosen."""
        if not chosen.wanted:
            return Counter()
        change = self._changes.begin(author, operation, TABLE, name, old, new)
        outcomes = self._boxes[name].take_out(chosen.wanted, decide)
        self._applied(change)
        return outcomes

    def _applied(self, change: int) -> None:
        try:
            self._changes.applied(change)
        except OutageError as outage:
            # The letters are where they should be, and whoever asked has to learn that.
            log.warning("a change stays pending in the configuration audit", id=change, problem=str(outage))


class _Replayer:
    """Prepares the letters of one replay, and counts those that would only fail again, by sentence."""

    def __init__(self, box: LetterBox, replaying: Replaying, name: str, rate_per_second: float | None) -> None:
        self._replaying = replaying
        self._name = name
        self._rate = rate_per_second
        self._start_ms = box.now_ms() if rate_per_second else 0
        self.prepared = 0
        self.refused: Counter[str] = Counter()

    def prepare(self, record: bytes) -> Replay | None:
        """The letter's replay, one step of the rate after the one before; None when it stays."""
        try:
            replay = self._replaying.replay(self._name, record)
        except EventError as error:
            self.refused[str(error)] += 1
            return None
        due_ms = round(self._start_ms + self.prepared * 1000 / self._rate) if self._rate else 0
        self.prepared += 1
        return replay._replace(due_ms=due_ms)


def _fits(record: bytes, wanted: LetterFilter) -> bool:
    if wanted.reason is not None and letter_views.reason_of(record) != wanted.reason:
        return False
    if not wanted.q:
        return True
    text = msgspec.json.encode(wanted.q)[1:-1].decode()  # The record is JSON: quotes are written as \".
    return text.casefold() in record.decode("utf-8", "replace").casefold()


def _described(choice: LetterChoice) -> dict[str, Any]:
    """How the letters were chosen, for the audit."""
    return {"all": True} if choice.all else {"with_reason": choice.with_reason} if choice.with_reason else {}


def _outcome(
    what: str, outcomes: "Counter[Moved]", skipped: "Counter[str]", rate_per_second: float | None = None
) -> LetterOutcome:
    """The answer, with a sentence that says it all."""
    skipped = skipped + Counter({GONE: outcomes[Moved.GONE], WAITS: outcomes[Moved.WAITS_ALREADY]})
    done = outcomes[Moved.DONE]
    message = f"{done} {'letter' if done == 1 else 'letters'} {what}"
    if skipped.total():
        message += f", {skipped.total()} skipped"
    seconds = round((done - 1) / rate_per_second, 3) if rate_per_second and done else 0.0
    return LetterOutcome(done=done, skipped=dict(skipped), message=message, seconds=seconds)


def _readable(record: str) -> Any:
    """The letter as JSON where it is JSON, else as text."""
    try:
        return msgspec.json.decode(record)
    except (msgspec.MsgspecError, RecursionError):
        return record
