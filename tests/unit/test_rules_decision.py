"""Rules, their order, their conditions, and the decision about an event."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mutt.events.event import Event
from mutt.rules.decision import decide
from mutt.rules.matcher import first_match, trace
from mutt.rules.rule import (
    FORWARDED,
    MAX_PATTERN,
    Handling,
    MatchType,
    Rule,
    Snapshot,
    UnusableRuleError,
    build_snapshot,
    compile_pattern,
)

NOW = datetime(2025, 11, 10, 12, tzinfo=UTC)


def an_event(**changes: Any) -> Event:
    values = {"message": "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down", "hostname": "edge-1", **changes}
    return Event(event_id="e", correlation_id="c", timestamp=NOW, ingestion_timestamp=NOW, **values)


def a_rule(rule_id: int = 1, **changes: Any) -> Rule:
    values: dict[str, Any] = {
        "match_string": None,
        "trap_oid": None,
        "syslog_severity": None,
        "match_type": MatchType.CONTAINS,
        "priority": 100,
        "prod_handling": Handling.PAGE_AND_TICKET,
        "dev_handling": Handling.LOG_ONLY,
        "team_assignment": "NETO",
    }
    return Rule(id=rule_id, **{**values, **changes})


def matches(rule: Rule, event: Event) -> bool:
    snapshot = build_snapshot([rule])
    assert not snapshot.unusable
    return first_match(event, snapshot) is not None


# --- single conditions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "expected"), [("UPDOWN", True), ("updown", False), ("Gi0/1", True), (".*", False), ("down", True)]
)
def test_contains_is_a_case_sensitive_substring(wanted: str, expected: bool) -> None:
    assert matches(a_rule(match_string=wanted), an_event()) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"state to (up|down)$", True),
        (r"^%LINK-[0-3]-", True),
        (r"^UPDOWN", False),
        (r"(?i)updown", True),
        (r"updown", False),
        (r"Gi\d+/\d+", True),
        (r"", True),
    ],
)
def test_a_regex_is_searched_in_the_message(pattern: str, expected: bool) -> None:
    assert matches(a_rule(match_string=pattern, match_type=MatchType.REGEX), an_event()) is expected


def test_a_regex_sees_more_than_one_line_and_more_than_ascii() -> None:
    rule = a_rule(match_string=r"(?m)^zweite Zeile: Überlast$", match_type=MatchType.REGEX)
    assert matches(rule, an_event(message="erste Zeile\nzweite Zeile: Überlast\n"))


@pytest.mark.parametrize(
    ("prefix", "oid", "expected"),
    [
        ("1.3.6.1.4.1.9", "1.3.6.1.4.1.9", True),
        ("1.3.6.1.4.1.9", "1.3.6.1.4.1.9.9.41", True),
        ("1.3.6.1.4.1.9", "1.3.6.1.4.1.99", False),
        ("1.3.6.1.4.1.9", "1.3.6.1.4.1", False),
        (".1.3.6.1.4.1.9", "1.3.6.1.4.1.9.1", True),
        ("1.3.6.1.4.1.9", ".1.3.6.1.4.1.9.1", True),
        (".1.3.6.1.4.1.9", ".1.3.6.1.4.1.99", False),
        ("1.3.6.1.4.1.9.", "1.3.6.1.4.1.9.1", True),
        ("3.6", "1.3.6", False),
    ],
)
@pytest.mark.parametrize("match_type", list(MatchType))
def test_an_oid_prefix_covers_whole_arcs(match_type: MatchType, prefix: str, oid: str, expected: bool) -> None:
    assert matches(a_rule(trap_oid=prefix, match_type=match_type), an_event(trap_oid=oid)) is expected


def test_an_event_without_an_oid_is_under_no_prefix() -> None:
    assert not matches(a_rule(trap_oid="1", match_type=MatchType.OID_PREFIX), an_event())


@pytest.mark.parametrize("wanted", range(8))
def test_a_severity_means_at_least_that_severe(wanted: int) -> None:
    rule = a_rule(syslog_severity=wanted)
    severe_enough = [severity for severity in range(8) if matches(rule, an_event(syslog_severity=severity))]
    assert severe_enough == list(range(wanted + 1))
    assert not matches(rule, an_event(syslog_severity=None))


def test_all_conditions_must_hold() -> None:
    rule = a_rule(match_string="UPDOWN", trap_oid="1.3", syslog_severity=3)
    fitting: dict[str, Any] = {"message": "UPDOWN", "trap_oid": "1.3.6", "syslog_severity": 3}
    assert matches(rule, an_event(**fitting))
    for change in ({"message": "x"}, {"trap_oid": "1.4"}, {"trap_oid": None}, {"syslog_severity": 4}):
        assert not matches(rule, an_event(**{**fitting, **change}))


# --- order ------------------------------------------------------------------------------------------------------------


def test_the_highest_priority_is_tried_first_and_then_the_lowest_id() -> None:
    rules = [
        a_rule(7, match_string="down", priority=1),
        a_rule(3, match_string="down", priority=500),
        a_rule(2, match_string="down", priority=500),
        a_rule(9, match_string="down", priority=1000),
    ]
    assert [rule.rule.id for rule in build_snapshot(rules).rules] == [9, 2, 3, 7]
    assert decide(an_event(), build_snapshot(rules)).rule_id == 9
    assert decide(an_event(), build_snapshot(rules[:3])).rule_id == 2


def test_the_first_match_wins_over_later_ones() -> None:
    rules = [
        a_rule(1, match_string="nothing like it", priority=900),
        a_rule(2, match_string="down", priority=800, team_assignment="FIRST"),
        a_rule(3, match_string="UPDOWN", priority=700, team_assignment="SECOND"),
    ]
    assert decide(an_event(), build_snapshot(rules)).team == "FIRST"


# --- the decision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostname", ["lab-1", "LAB-1", "Lab-1"])
@pytest.mark.parametrize("listed", ["lab-1", "LAB-1"])
def test_a_development_host_gets_the_development_handling_in_any_case(hostname: str, listed: str) -> None:
    rule = a_rule(match_string="down", prod_handling=Handling.PAGE_AND_TICKET, dev_handling=Handling.EMAIL_ONLY)
    decision = decide(an_event(hostname=hostname), build_snapshot([rule], [listed]))
    assert (decision.handling, decision.environment) == (Handling.EMAIL_ONLY, "development")


def test_any_other_host_gets_the_production_handling() -> None:
    rule = a_rule(match_string="down", prod_handling=Handling.PAGE_AND_TICKET, dev_handling=Handling.EMAIL_ONLY)
    decision = decide(an_event(hostname="lab-10"), build_snapshot([rule], ["lab-1"]))
    assert (decision.handling, decision.environment) == (Handling.PAGE_AND_TICKET, "production")


def test_a_team_of_the_device_overrides_the_team_of_the_rule_in_any_case() -> None:
    rules = [a_rule(match_string="down", team_assignment="NETO")]
    snapshot = build_snapshot(rules, (), {"Edge-1": "CORE"})
    assert decide(an_event(hostname="EDGE-1"), snapshot).team == "CORE"
    assert decide(an_event(hostname="edge-2"), snapshot).team == "NETO"


def test_an_event_that_no_rule_matches_is_only_logged() -> None:
    snapshot = build_snapshot([a_rule(match_string="absent")], ["lab-1"], {"edge-1": "CORE"})
    assert decide(an_event(), snapshot) == (None, Handling.LOG_ONLY, "CORE", "production", False)
    assert decide(an_event(hostname="lab-1"), snapshot) == (None, Handling.LOG_ONLY, None, "development", False)
    assert decide(an_event(), Snapshot()).rule_id is None


@pytest.mark.parametrize("handling", list(Handling))
def test_only_pages_and_tickets_are_forwarded(handling: Handling) -> None:
    for rule in (
        a_rule(match_string="down", prod_handling=handling, dev_handling=Handling.SUPPRESS),
        a_rule(match_string="down", prod_handling=Handling.LOG_ONLY, dev_handling=handling),
    ):
        hosts = ["edge-1"] if rule.dev_handling is handling else []
        decision = decide(an_event(), build_snapshot([rule], hosts))
        assert decision.handling is handling
        assert decision.forward is (handling.value in ("Page_and_ticket", "Ticket_only"))
    assert {each.value for each in FORWARDED} == {"Page_and_ticket", "Ticket_only"}


# --- rules that cannot be used ----------------------------------------------------------------------------------------

UNPARSABLE = ["(", "[a", "a**", "*", "(?P<x", r"\8", "(?i", "a{1001}", "x" * (MAX_PATTERN + 1)]


@pytest.mark.parametrize("pattern", UNPARSABLE)
def test_an_unparsable_rule_is_skipped_and_reported(pattern: str) -> None:
    broken = a_rule(1, match_string=pattern, match_type=MatchType.REGEX, priority=1000)
    snapshot = build_snapshot([broken, a_rule(2, match_string="down")])
    assert decide(an_event(), snapshot).rule_id == 2
    assert list(snapshot.unusable) == [1]
    assert snapshot.unusable[1].startswith("match_string ")


def test_the_same_text_is_no_pattern_for_contains() -> None:
    assert matches(a_rule(match_string="a**("), an_event(message="x a**( y"))


def test_a_rule_without_conditions_is_skipped_and_reported() -> None:
    snapshot = build_snapshot([a_rule(1, priority=1000), a_rule(2, match_string="down")])
    assert decide(an_event(), snapshot).rule_id == 2
    assert "no condition" in snapshot.unusable[1]


@pytest.mark.parametrize(
    ("pattern", "culprit"),
    [
        (r"(?=down)x", "(?="),
        (r"a(?!b)", "(?!"),
        (r"(?<=a)b", "(?<"),
        (r"(?<!a)b", "(?<"),
        (r"(a)\1", r"\1"),
        (r"(?P<x>a)(?P=x)", "(?P"),
        (r"(?>a+)b", "(?>"),
    ],
)
def test_re2_refuses_what_is_not_linear_and_says_what(pattern: str, culprit: str) -> None:
    with pytest.raises(UnusableRuleError) as caught:
        compile_pattern(pattern)
    assert str(caught.value).startswith("match_string is not a valid RE2 pattern: ")
    assert culprit in str(caught.value)
    assert "b'" not in str(caught.value)


def test_a_pattern_that_is_not_unicode_is_refused_too() -> None:
    with pytest.raises(UnusableRuleError):
        compile_pattern(chr(0xD800))


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(a*)*b", r"^(.*,){20}P"])
def test_a_pattern_that_hangs_backtracking_engines_is_answered(pattern: str) -> None:
    rule = a_rule(match_string=pattern, match_type=MatchType.REGEX)
    assert not matches(rule, an_event(message="a" * 65_000 + "!"))


# --- the trace --------------------------------------------------------------------------------------------------------


def test_the_trace_names_every_rule_tried_and_why() -> None:
    rules = [
        a_rule(1, match_string="absent", priority=900),
        a_rule(2, match_string="ab+sent", match_type=MatchType.REGEX, priority=800),
        a_rule(3, trap_oid="1.4", priority=700),
        a_rule(4, syslog_severity=2, priority=600),
        a_rule(5, match_string="down", priority=500),
        a_rule(6, match_string="down", priority=400),
    ]
    tried = trace(an_event(trap_oid="1.3.6", syslog_severity=3), build_snapshot(rules))
    assert [(each.rule_id, each.matched) for each in tried] == [
        (1, False),
        (2, False),
        (3, False),
        (4, False),
        (5, True),
    ]
    assert [each.why for each in tried] == [
        "the message does not contain 'absent'",
        "the pattern 'ab+sent' is not found in the message",
        "trap_oid 1.3.6 is not under 1.4",
        "severity 3 is less severe than 2",
        "all conditions hold",
    ]


def test_the_trace_says_what_the_event_lacks() -> None:
    tried = trace(an_event(), build_snapshot([a_rule(1, trap_oid="1.4"), a_rule(2, syslog_severity=2)]))
    assert [each.why for each in tried] == [
        "the event has no trap_oid",
        "the event has no severity; the rule wants 2 or more severe",
    ]
