"""Whatever the rules and the event: one decision, the same one in the trace, and the one the contract describes."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mutt.events.event import Event
from mutt.rules.decision import decide
from mutt.rules.matcher import first_match, trace
from mutt.rules.rule import Handling, MatchType, Rule, build_snapshot

NOW = datetime(2025, 11, 10, 12, tzinfo=UTC)
MANY = settings(max_examples=500, deadline=None)

# Small alphabets, so that rules and events meet often.
WORDS = st.lists(st.sampled_from(["link", "down", "up", "Link", "a", "(", "\U0001f525"]), max_size=4).map(" ".join)
PATTERNS = WORDS | st.sampled_from(["l.nk", "^down", "(?i)link", "up$", "a|down", "", "(", "(?=a)", "a**"])
OIDS = st.lists(st.sampled_from(["1", "3", "6", "33"]), min_size=1, max_size=4).map(".".join)
DOTTED = OIDS | OIDS.map(lambda oid: f".{oid}")
HOSTS = st.sampled_from(["edge-1", "EDGE-1", "edge-2", "Edge-2", "ünï-1", "ÜNÏ-1"])


def an_event(hostname: str, message: str, syslog_severity: int | None, trap_oid: str | None) -> Event:
    return Event("e", "c", NOW, NOW, hostname, message, None, syslog_severity, trap_oid)


EVENTS = st.builds(an_event, HOSTS, WORDS, st.none() | st.integers(0, 7), st.none() | DOTTED)
RULES = st.lists(
    st.builds(
        Rule,
        id=st.integers(1, 1_000),
        match_string=st.none() | PATTERNS,
        trap_oid=st.none() | DOTTED,
        syslog_severity=st.none() | st.integers(0, 7),
        match_type=st.sampled_from(MatchType),
        priority=st.integers(1, 5),
        prod_handling=st.sampled_from(Handling),
        dev_handling=st.sampled_from(Handling),
        team_assignment=st.sampled_from(["NETO", "CORE"]),
    ),
    max_size=8,
    unique_by=lambda rule: rule.id,
)
SNAPSHOTS = st.builds(build_snapshot, RULES, st.lists(HOSTS), st.dictionaries(HOSTS, st.sampled_from(["NOC", "LAB"])))


def arcs(oid: str) -> list[str]:
    return oid.removeprefix(".").split(".")


def holds(rule: Any, event: Event) -> bool:
    """The conditions of the contract, spelled out one by one."""
    stored: Rule = rule.rule
    conditions = []
    if stored.syslog_severity is not None:
        conditions.append(event.syslog_severity is not None and event.syslog_severity <= stored.syslog_severity)
    if stored.trap_oid is not None:
        wanted = arcs(stored.trap_oid)
        conditions.append(event.trap_oid is not None and arcs(event.trap_oid)[: len(wanted)] == wanted)
    if stored.match_string is not None and stored.match_type is not MatchType.REGEX:
        conditions.append(event.message.count(stored.match_string) > 0)
    if stored.match_string is not None and stored.match_type is MatchType.REGEX:
        conditions.append(bool(rule.pattern.search(event.message)))
    return all(conditions)


@MANY
@given(EVENTS, SNAPSHOTS)
def test_the_trace_agrees_with_the_worker(event: Event, snapshot: Any) -> None:
    match = first_match(event, snapshot)
    tried = trace(event, snapshot)
    assert [each.rule_id for each in tried if each.matched] == ([] if match is None else [match.rule.id])
    assert [each.rule_id for each in tried] == [rule.rule.id for rule in snapshot.rules][: len(tried)]
    assert len(tried) == len(snapshot.rules) or tried[-1].matched
    assert all(each.why for each in tried)
    assert all((each.why == "all conditions hold") is each.matched for each in tried)


@MANY
@given(EVENTS, SNAPSHOTS)
def test_the_first_rule_whose_conditions_hold_decides(event: Event, snapshot: Any) -> None:
    holding = [rule for rule in snapshot.rules if holds(rule, event)]
    match = first_match(event, snapshot)
    assert match is (holding[0] if holding else None)


@MANY
@given(EVENTS, SNAPSHOTS)
def test_every_event_gets_one_decision_and_always_the_same(event: Event, snapshot: Any) -> None:
    decision = decide(event, snapshot)
    assert decide(event, snapshot) == decision
    assert decision.forward is (decision.handling in (Handling.PAGE_AND_TICKET, Handling.TICKET_ONLY))
    assert (decision.environment == "development") is (event.hostname.lower() in snapshot.development_hosts)
    if decision.rule_id is None:
        assert (decision.handling, decision.forward) == (Handling.LOG_ONLY, False)


@MANY
@given(RULES)
def test_every_rule_is_either_tried_in_order_or_reported(rules: list[Rule]) -> None:
    snapshot = build_snapshot(rules)
    used = [rule.rule for rule in snapshot.rules]
    assert used == sorted(used, key=lambda rule: (-rule.priority, rule.id))
    assert {rule.id for rule in used} | set(snapshot.unusable) == {rule.id for rule in rules}
    assert not {rule.id for rule in used} & set(snapshot.unusable)
    assert build_snapshot(reversed(rules)).unusable == snapshot.unusable
