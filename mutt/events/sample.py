"""A sample: what is kept of an event so that a person sees what a pattern of unmatched events is about."""

from collections.abc import Sequence
from itertools import islice

import msgspec

from mutt.events.event import Event

MOST_SAMPLES = 3
MOST_CHARACTERS = 500
LOOK_AT = 50
"""Events of a batch that samples are picked from."""


class Sample(msgspec.Struct, omit_defaults=True, frozen=True):
    """The event's message, cut at 500 characters, and who sent it."""

    message: str
    hostname: str
    trap_oid: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Sample)


def pick(events: Sequence[Event]) -> list[bytes]:
    """Up to three different samples of the events, encoded; of different hosts when there are."""
    by_host = {each.hostname: each for each in islice(events, LOOK_AT)}
    chosen = list(islice(by_host.values(), MOST_SAMPLES))
    if len(chosen) < MOST_SAMPLES:
        chosen += islice(events, MOST_SAMPLES)
    records = (_encoder.encode(Sample(each.message[:MOST_CHARACTERS], each.hostname, each.trap_oid)) for each in chosen)
    return list(dict.fromkeys(records))[:MOST_SAMPLES]


def decode(record: bytes) -> Sample:
    """The sample in a record that ``pick`` made. Raises msgspec.MsgspecError when it is not one."""
    return _decoder.decode(record)
