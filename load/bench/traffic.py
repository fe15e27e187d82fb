"""What the measurements send, and the rules that judge it.

Of the events 30 % are forwarded, 60 % match a rule that only logs, and 10 % match none.
"""

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from load.bench.generator import STAMP, Body
from load.samples import SAMPLES, Sample, render
from mutt.events.admit import Limits, admit
from mutt.events.alert import encode as encode_alert
from mutt.events.alert import from_event
from mutt.events.event import Event
from mutt.events.event import encode as encode_event
from mutt.events.ids import IdSource
from mutt.rules.rule import Handling, MatchType
from mutt.store.rules import RuleValues

FORWARD_SHARE, UNMATCHED_SHARE = 0.3, 0.1
HOSTS = 400
PAGING = (
    (MatchType.CONTAINS, "CRITICAL", Handling.PAGE_AND_TICKET),
    (MatchType.REGEX, "Interface.*down", Handling.PAGE_AND_TICKET),
    (MatchType.REGEX, "disk.*full", Handling.TICKET_ONLY),
)
_PAGES = re.compile("CRITICAL|Interface.*down|disk.*full")
_FORWARDED = [sample for sample in SAMPLES if _PAGES.search(sample.text)]
_QUIET = [sample for sample in SAMPLES if not _PAGES.search(sample.text)]
_UNMATCHED, _LOGGED = _QUIET[:2], _QUIET[2:]


def rules(number: int) -> list[RuleValues]:
    """So many rules: those that the events meet, among others that look for what never comes."""
    chance = random.Random(number)
    kinds = list(PAGING) + [(MatchType.CONTAINS, _word(sample), Handling.LOG_ONLY) for sample in _LOGGED]
    kinds = kinds[: max(number, len(PAGING))]
    for count in range(number - len(kinds)):
        if count % 2:
            kinds.append((MatchType.REGEX, f"(fan|PSU).*(failed|failure|lost).*unit {count}", Handling.LOG_ONLY))
        else:
            kinds.append((MatchType.CONTAINS, f"%FABRIC-2-FAULT{count}", Handling.LOG_ONLY))
    return [
        RuleValues(text, None, None, str(kind), _priority(chance, handling), handling, Handling.LOG_ONLY, "NETO", True)
        for kind, text, handling in kinds
    ]


def _priority(chance: random.Random, handling: Handling) -> int:
    # What pages comes before what only logs, so that 30 % are forwarded whatever the other rules are.
    return chance.randint(501, 1000) if handling is not Handling.LOG_ONLY else chance.randint(1, 1000)


def _word(sample: Sample) -> str:
    """Text of the sample's message that is always the same."""
    return max(re.split(r"\{\w+\}", f"{sample.tag} {sample.text}"), key=len).strip()


def events(number: int, chance: random.Random, stamped: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Events as a source sends them, each with whether a rule forwards it; the shares are exact in every ten."""
    kinds = [_FORWARDED] * 3 + [_LOGGED] * 6 + [_UNMATCHED]
    for index in range(number):
        kind = kinds[index * 7 % 10]
        event = render(chance.choice(kind), chance)
        event["hostname"] = f"{event['hostname']}-{chance.randrange(HOSTS)}"
        if stamped:
            event["message"] += f" sent={STAMP.decode()}"
        yield event, kind is _FORWARDED


def bodies(batch: int, number: int = 0, stamped: bool = False) -> list[Body]:
    """Bodies for the generator, each with ``batch`` events; single events travel as objects."""
    chance = random.Random(batch)
    number = number or max(8, 2000 // batch)
    made = []
    source = events(number * batch, chance, stamped)
    for _ in range(number):
        pairs = [next(source) for _ in range(batch)]
        content: Any = pairs[0][0] if batch == 1 else [event for event, _ in pairs]
        made.append(Body(json.dumps(content, separators=(",", ":")), batch, sum(forwarded for _, forwarded in pairs)))
    return made


def queued_events(number: int) -> tuple[list[bytes], int]:
    """Events as ingest leaves them in the queue, and how many of them are forwarded."""
    admitted = list(_admitted(number))
    return [encode_event(event) for event, _ in admitted], sum(forwarded for _, forwarded in admitted)


def queued_alerts(number: int) -> list[bytes]:
    """Alerts as the alerter leaves them in its queue."""
    return [
        encode_alert(from_event(event, f"signature-{index % 1000}", Handling.PAGE_AND_TICKET, "NETO", "production", 1))
        for index, (event, _) in enumerate(_admitted(number))
    ]


def _admitted(number: int) -> Iterator[tuple[Event, bool]]:
    ids, limits = IdSource(), Limits()
    for item, forwarded in events(number, random.Random(number)):
        yield admit(item, datetime.now(UTC), ids, limits), forwarded
