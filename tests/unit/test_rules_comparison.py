"""A comparison says what two plain decisions say, however it gets there."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mutt.rules import comparison
from mutt.rules.comparison import Comparison, TextFilter
from mutt.rules.decision import decide
from mutt.rules.rule import Handling, MatchType, Rule, Snapshot, build_snapshot
from tests.unit.test_rules_properties import EVENTS, HOSTS, MANY, RULES, SNAPSHOTS, an_event


@st.composite
def _changed(draw: Any) -> tuple[Snapshot, Snapshot]:
    """Rules and what is left of them after some were taken away and others put in, on the same hosts."""
    stored = draw(RULES)
    kept = [rule for rule in stored if draw(st.booleans())]
    more = [rule for rule in draw(RULES) if rule.id not in {each.id for each in kept}]
    hosts, teams = draw(st.lists(HOSTS)), draw(st.dictionaries(HOSTS, st.sampled_from(["NOC", "LAB"])))
    return build_snapshot(stored, hosts, teams), build_snapshot([*kept, *more], hosts, teams)


@MANY
@given(_changed() | st.tuples(SNAPSHOTS, SNAPSHOTS), st.lists(EVENTS, max_size=6))
def test_both_decisions_are_those_of_decide(snapshots: tuple[Snapshot, Snapshot], events: list[Any]) -> None:
    now, then = snapshots
    compared = Comparison(now, then)
    for event in events:
        assert compared.decide(event) == (decide(event, now), decide(event, then))


def test_what_is_kept_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(comparison, "MOST_KEPT", 100)
    snapshot = build_snapshot([_rule(number, f"word{number}x") for number in range(50)])
    compared = Comparison(snapshot, build_snapshot([]))
    for number in [*range(50), *range(50)]:
        event = an_event("edge-1", f"word{number}x", None, None)
        assert compared.decide(event) == (decide(event, snapshot), decide(event, build_snapshot([])))
        assert len(compared._narrowed) <= 4


def test_without_memory_for_all_texts_every_rule_is_tried(monkeypatch: Any) -> None:
    rules = [_rule(number, f"a{number}.{{10,50}}b") for number in range(1, 200)] + [_rule(500, "link.*down")]
    monkeypatch.setattr(comparison, "SET_BYTES", 1 << 16)
    snapshot = build_snapshot(rules)
    every = TextFilter(snapshot.rules)
    assert every.matches("the link is down") is None
    assert list(every.places(None)) == list(range(200))
    now, then = Comparison(snapshot, build_snapshot([])).decide(an_event("edge-1", "the link is down", None, None))
    assert (now.rule_id, then.rule_id) == (500, None)


def test_a_search_that_failed_is_not_taken_for_no_match(monkeypatch: Any) -> None:
    """RE2 answers nothing at all when it runs out of memory midway."""
    every = TextFilter(build_snapshot([_rule(1, "link.*down"), _rule(2, "up")]).rules)
    assert every.places(every.matches("it says nothing")) == []

    class OutOfMemory:
        def Match(self, _text: str) -> None:  # noqa: N802 - as RE2 spells it
            return None

    monkeypatch.setattr(every, "_set", OutOfMemory())
    assert list(every.places(every.matches("it says nothing"))) == [0, 1]


def _rule(number: int, pattern: str) -> Rule:
    return Rule(
        number, pattern, None, None, MatchType.REGEX, 100, Handling.LOG_ONLY, Handling.LOG_ONLY, "NETO"
    )  # fmt: skip
