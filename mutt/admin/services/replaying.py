"""Where a dead letter goes when it is replayed, and as what."""

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from mutt.admin.services.rule_tests import Admission
from mutt.errors import EventError, Reason
from mutt.events import dead_letter, event
from mutt.events.dead_letter import DeadLetter
from mutt.queues.letters import Replay
from mutt.redisdb import keys
from mutt.settings import QueueSettings

INGEST, POISON = "ingest", "poison"
SERVICES = {"alerter": "alerter", "moog": "moog", "ingest": "ingestor"}
"""Whose letters a list holds, for a message that does not say it."""


class Target(NamedTuple):
    """A queue and the retry set that leads to it."""

    queue: str
    retry_set: str


class Replaying:
    """Makes the message that goes back of a letter."""

    def __init__(self, queues: QueueSettings, admission: Admission) -> None:
        alerter = Target(queues.ingest_queue, keys.retry("alerter"))
        moog = Target(queues.alert_queue, keys.retry("moog"))
        self._targets = {"alerter": alerter, "moog": moog, "ingestor": alerter}
        self._admission = admission

    def replay(self, name: str, record: bytes) -> Replay:
        """The replay of a letter of the list ``name``. Raises EventError when it would be of no use."""
        letter = inner(dead_letter.found(record, SERVICES.get(name, ""), datetime.now(UTC)))
        target = self._targets.get(letter.service)
        if target is None:
            raise EventError(Reason.CANNOT_BE_REPLAYED, f"nobody knows where letters of {letter.service!r} belong")
        refused = letter.service == SERVICES[INGEST]
        message = self._admitted(letter) if refused else dead_letter.message_for_replay(letter)
        if message is None:
            raise EventError(Reason.CANNOT_BE_REPLAYED, "the message is not a JSON object; edit it first")
        return Replay(message, *target)

    def _admitted(self, letter: DeadLetter) -> bytes:
        """The refused event, checked once more as ingest does. Raises EventError."""
        return event.encode(self._admission.admit(letter.payload))


def inner(letter: DeadLetter) -> DeadLetter:
    """The letter that matters: when remediation itself failed over one, its message is the letter it had in hand."""
    while letter.service.startswith("remediation-"):
        try:
            letter = msgspec.convert(letter.payload, DeadLetter)
        except msgspec.ValidationError:
            return letter
    return letter
