"""A rule that is called hidden can never decide; what is plainly hidden is found."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt.rules.matcher import first_match
from mutt.rules.rule import Handling, MatchType, Rule, Snapshot, build_snapshot
from mutt.rules.shadowing import hidden_rules, required_texts
from tests.unit.test_rules_properties import EVENTS, MANY, SNAPSHOTS


@MANY
@given(SNAPSHOTS, st.lists(EVENTS, min_size=5, max_size=20))
def test_no_event_reaches_a_hidden_rule(snapshot: Snapshot, events: list[Any]) -> None:
    hidden = {each.rule.rule.id: each for each in hidden_rules(snapshot)}
    for event in events:
        match = first_match(event, snapshot)
        assert match is None or match.rule.id not in hidden
        for each in hidden.values():
            alone, front = (
                first_match(event, Snapshot(rules=(rule,))) is not None for rule in (each.rule, each.by)
            )  # fmt: skip
            assert front or not alone
            assert not each.equal or alone == front


def rule(number: int, text: str | None, kind: str = "contains", oid: str | None = None, sev: int | None = None) -> Rule:
    """Numbered in the order tried."""
    return Rule(
        number, text, oid, sev, MatchType(kind), 1000 - number, Handling.LOG_ONLY, Handling.LOG_ONLY, "NETO"
    )  # fmt: skip


def verdict(front: Rule, behind: Rule) -> str | None:
    found = list(hidden_rules(build_snapshot([front, behind])))
    if not found:
        return None
    assert (found[0].by.rule, found[0].rule.rule) == (front, behind)
    return "equal" if found[0].equal else "hidden"


HIDDEN = [
    (rule(1, "down"), rule(2, "link down")),
    (rule(1, "down"), rule(2, "down", sev=3)),
    (rule(1, None, sev=5), rule(2, "down", sev=3)),
    (rule(1, None, "oid_prefix", "1.3.6"), rule(2, None, "oid_prefix", ".1.3.6.1")),
    (rule(1, "l.nk", "regex"), rule(2, "link down")),
    (rule(1, "(?i)LINK", "regex"), rule(2, "link")),
    (rule(1, "down"), rule(2, "Interface.*down", "regex")),
    (rule(1, "1.5"), rule(2, r"v1\.5", "regex")),
    (rule(1, "^down$", "regex"), rule(2, "^down$", "regex", sev=3)),
    (rule(1, "a|b", "regex"), rule(2, "x.+b", "regex")),
]
EQUAL = [
    (rule(1, "down"), rule(2, "down")),
    (rule(1, "down"), rule(2, "down", "regex")),
    (rule(1, r"1\.5", "regex"), rule(2, "1.5")),
    (rule(1, None, "oid_prefix", "1.3.6"), rule(2, None, "oid_prefix", ".1.3.6.")),
]
NOT_PROVEN = [
    (rule(1, "link down"), rule(2, "down")),
    (rule(1, "Down"), rule(2, "link down")),
    (rule(1, "down", sev=3), rule(2, "down")),
    (rule(1, "down", sev=3), rule(2, "down", sev=4)),
    (rule(1, None, "oid_prefix", "1.3.6.1.4.1.9"), rule(2, None, "oid_prefix", "1.3.6.1.4.1.99")),
    (rule(1, None, "oid_prefix", "1.3.6"), rule(2, "down")),
    (rule(1, "^link", "regex"), rule(2, "link")),
    (rule(1, r"\blink\b", "regex"), rule(2, "link")),
    (rule(1, "link"), rule(2, "(?i)link", "regex")),
    (rule(1, "link"), rule(2, "link|down", "regex")),
    (rule(1, "b"), rule(2, "a.*b?", "regex")),
    (rule(1, "ab"), rule(2, r"a\.*b", "regex")),
]


@pytest.mark.parametrize(("front", "behind"), HIDDEN)
def test_hidden(front: Rule, behind: Rule) -> None:
    assert verdict(front, behind) == "hidden"


@pytest.mark.parametrize(("front", "behind"), EQUAL)
def test_equal(front: Rule, behind: Rule) -> None:
    assert verdict(front, behind) == "equal"


@pytest.mark.parametrize(("front", "behind"), NOT_PROVEN)
def test_nothing_is_claimed_that_is_not_so(front: Rule, behind: Rule) -> None:
    assert verdict(front, behind) is None


@given(st.text(alphabet="a.*+\\?[]()|{}^$-,2", max_size=8), st.text(alphabet="a.*\\-,2", max_size=12))
def test_required_texts_are_in_every_match(pattern: str, message: str) -> None:
    for each in build_snapshot([rule(1, pattern, "regex")]).rules:
        if each.pattern is not None and each.pattern.search(message):
            assert all(text in message for text in required_texts(each))


def test_a_thousand_rules_take_no_time() -> None:
    """The rules in front are found by their texts, not one by one."""
    rules = [rule(number, f"fault {number:04}") for number in range(1, 1000)]
    rules.append(rule(1000, "the fault 0500 of"))
    assert [(each.rule.rule.id, each.by.rule.id) for each in hidden_rules(build_snapshot(rules))] == [(1000, 500)]
