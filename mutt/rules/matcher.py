"""Which rule matches an event: the first, from the highest priority down, whose conditions all hold."""

from typing import NamedTuple

from mutt.events.event import Event
from mutt.rules.rule import CompiledRule, Snapshot, normal_oid


class Tried(NamedTuple):
    """One line of a trace: a rule that was tried and why it did not match, or that it did."""

    rule_id: int
    matched: bool
    why: str


def first_match(event: Event, snapshot: Snapshot) -> CompiledRule | None:
    """The rule that decides about the event, or None when none matches."""
    message, severity = event.message, event.syslog_severity
    oid = None if event.trap_oid is None else normal_oid(event.trap_oid)
    if snapshot.index is not None:
        return snapshot.index.first(message, severity, oid)
    return next((rule for rule in snapshot.rules if rule.holds(message, severity, oid)), None)


def trace(event: Event, snapshot: Snapshot) -> list[Tried]:
    """Every rule up to and including the first match, in the order tried, each with the reason.

    Which one matches is what ``first_match`` says, so that the trace cannot say anything else than the worker does.
    """
    match, tried = first_match(event, snapshot), []
    for rule in snapshot.rules:
        if rule is match:
            tried.append(Tried(rule.rule.id, True, "all conditions hold"))
            break
        tried.append(Tried(rule.rule.id, False, _why_not(event, rule)))
    return tried


def _why_not(event: Event, rule: CompiledRule) -> str:
    if rule.syslog_severity is not None:
        if event.syslog_severity is None:
            return f"the event has no severity; the rule wants {rule.syslog_severity} or more severe"
        if event.syslog_severity > rule.syslog_severity:
            return f"severity {event.syslog_severity} is less severe than {rule.syslog_severity}"
    if rule.oid_prefix is not None:
        if event.trap_oid is None:
            return "the event has no trap_oid"
        if not normal_oid(event.trap_oid).startswith(rule.oid_prefix):
            return f"trap_oid {event.trap_oid} is not under {rule.rule.trap_oid}"
    if rule.substring is not None and rule.substring not in event.message:
        return f"the message does not contain {rule.substring!r}"
    return f"the pattern {rule.rule.match_string!r} is not found in the message"
