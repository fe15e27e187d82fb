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
    for rule in snapshot.rules:
        # The cheapest conditions come first: most rules fail on the substring or the pattern.
        if rule.syslog_severity is not None and (severity is None or severity > rule.syslog_severity):
            continue
        if rule.oid_prefix is not None and (oid is None or not oid.startswith(rule.oid_prefix)):
            continue
        if rule.substring is not None and rule.substring not in message:
            continue
        if rule.pattern is not None and rule.pattern.search(message) is None:
            continue
        return rule
    return None


def trace(event: Event, snapshot: Snapshot) -> list[Tried]:
    """Every rule up to and including the first match, in the order tried, each with the reason.

    It asks ``first_match`` about one rule at a time, so that it cannot say anything else than the worker does.
    """
    tried = []
    for rule in snapshot.rules:
        matched = first_match(event, Snapshot(rules=(rule,))) is not None
        tried.append(Tried(rule.rule.id, matched, "all conditions hold" if matched else _why_not(event, rule)))
        if matched:
            break
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
