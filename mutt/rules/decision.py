"""The decision about an event: a pure function of the event and a snapshot, used wherever a decision is made.

The alerter acts on it, the rule tester shows it and backtests count it: what the tester says is what the worker does.
"""

from typing import NamedTuple

from mutt.events import alert
from mutt.events.alert import Alert
from mutt.events.event import Event
from mutt.rules import pattern
from mutt.rules.matcher import first_match
from mutt.rules.rule import FORWARDED, Handling, Snapshot

PRODUCTION = "production"
DEVELOPMENT = "development"


class Decision(NamedTuple):
    """What is done about an event. ``rule_id`` and ``team`` are None when no rule matched and no team owns the host."""

    rule_id: int | None
    handling: Handling
    team: str | None
    environment: str
    forward: bool


def decide(event: Event, snapshot: Snapshot) -> Decision:
    """The decision about the event. No I/O, no clock: the same event and snapshot always give the same decision.

    A development host gets the rule's dev_handling; a host with a team of its own keeps it whatever the rule says.
    An event that no rule matches is only logged.
    """
    hostname = event.hostname.lower()
    environment = DEVELOPMENT if hostname in snapshot.development_hosts else PRODUCTION
    team = snapshot.teams.get(hostname)
    match = first_match(event, snapshot)
    if match is None:
        return Decision(None, Handling.LOG_ONLY, team, environment, forward=False)
    rule = match.rule
    handling = rule.dev_handling if environment is DEVELOPMENT else rule.prod_handling
    return Decision(rule.id, handling, team or rule.team_assignment, environment, handling in FORWARDED)


def alert_of(event: Event, decision: Decision) -> Alert:
    """The alert that goes to Moogsoft for an event whose decision says ``forward``."""
    signature = pattern.signature(event.hostname, decision.rule_id, event.trap_oid, event.message)
    team = decision.team or ""
    return alert.from_event(event, signature, decision.handling, team, decision.environment, decision.rule_id)
