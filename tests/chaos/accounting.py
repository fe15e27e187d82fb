"""The accounting at rest: what was acknowledged against what is in the audit log, the dead letters and the webhook."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mutt.errors import Reason
from tests.chaos.ledger import Ledger, State
from tests.chaos.outcome import Outcome


@dataclass
class Stock:
    """What is where, by correlation id, once nothing moves any more."""

    audited: Counter[str] = field(default_factory=Counter)
    event_letters: dict[str, str] = field(default_factory=dict)
    """Events in the alerter's dead letters, with their reason."""
    alert_letters: dict[str, str] = field(default_factory=dict)
    poison: dict[str, str] = field(default_factory=dict)
    unreadable: list[tuple[Any, str]] = field(default_factory=list)
    """(payload, reason) of dead letters without a correlation id."""
    shed: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    """Alerts that the receiver took and said so."""
    withheld: Counter[str] = field(default_factory=Counter)
    """Alerts that the receiver took without an answer."""
    meta_alerts: Counter[str] = field(default_factory=Counter)

    def take_letters(self, records: Iterable[bytes], into: dict[str, str]) -> None:
        """Sorts dead letters into ``into``; parked events are counted apart."""
        for record in records:
            letter = msgspec.json.decode(record)
            payload = letter["payload"]
            if letter["reason"] == Reason.SHED:
                self.shed += 1
            if isinstance(payload, Mapping) and "correlation_id" in payload:
                into[str(payload["correlation_id"])] = letter["reason"]
            else:
                self.unreadable.append((payload, letter["reason"]))

    def take_requests(self, requests: Iterable[tuple[float, str, list[str], list[str]]]) -> None:
        """What the receiver noted about its requests."""
        for _, outcome, ids, meta in requests:
            (self.withheld if outcome == "withheld" else self.answered).update(ids)
            self.meta_alerts.update(meta)

    @property
    def delivered(self) -> Counter[str]:
        """Every alert the receiver took, answered or not."""
        return self.answered + self.withheld


@dataclass(frozen=True)
class Books:
    """The differences; an honest system leaves all but ``webhook_duplicates`` empty."""

    lost: set[str]
    """Acknowledged, and neither audited nor dead-lettered."""
    undelivered: set[str]
    """To be forwarded, and neither received with an answer nor dead-lettered."""
    refused_but_stored: set[str]
    audited_twice: set[str]
    unasked: set[str]
    """Received, though no rule forwards it or nobody took it."""
    invented: set[str]
    """Audited, though no source sent it."""
    webhook_duplicates: int


def compare(ledger: Ledger, stock: Stock) -> Books:
    """The books of one run."""
    acknowledged, audited = ledger.all_in(State.ACKNOWLEDGED), set(stock.audited)
    letters = set(stock.event_letters) | set(stock.poison)
    delivered = stock.delivered
    # An event whose answer was lost may have been taken; once it is in the audit log its alert is due as well.
    must_forward = ledger.to_forward & (acknowledged | audited)
    return Books(
        lost=acknowledged - audited - letters,
        undelivered=must_forward - set(stock.answered) - set(stock.alert_letters) - letters,
        refused_but_stored=ledger.all_in(State.REFUSED, State.OFFERED) & (audited | letters),
        audited_twice={each for each, rows in stock.audited.items() if rows > 1},
        unasked=set(delivered) - must_forward,
        invented={each for each in audited if each not in ledger},
        webhook_duplicates=sum(delivered.values()) - len(delivered),
    )


def judge(outcome: Outcome, ledger: Ledger, stock: Stock, duplicates_allowed: int) -> Books:
    """Fills the outcome's figures and checks the conditions of the accounting."""
    books = compare(ledger, stock)
    outcome.events = len(ledger)
    outcome.lost = len(books.lost) + len(books.undelivered)
    outcome.audit_duplicates = len(books.audited_twice)
    outcome.webhook_duplicates = books.webhook_duplicates
    outcome.none_of("acknowledged and lost", len(books.lost))
    outcome.none_of("alerts not delivered", len(books.undelivered))
    outcome.none_of("refused and stored", len(books.refused_but_stored))
    outcome.none_of("audited twice", len(books.audited_twice))
    outcome.none_of("received unasked", len(books.unasked))
    outcome.none_of("audited, never sent", len(books.invented))
    outcome.none_of("parked and left", stock.shed)
    outcome.at_most("duplicates at the webhook", books.webhook_duplicates, duplicates_allowed)
    outcome.notes["ledger"] = {state.name.lower(): ledger.count(state) for state in State}
    outcome.notes["letters"] = {
        "alerter": Counter(stock.event_letters.values()),
        "moog": Counter(stock.alert_letters.values()),
        "poison": Counter(stock.poison.values()),
    }
    examples = {name: sorted(getattr(books, name))[:3] for name in ("lost", "undelivered", "audited_twice", "unasked")}
    if any(examples.values()):
        outcome.notes["examples"] = examples
    return books
