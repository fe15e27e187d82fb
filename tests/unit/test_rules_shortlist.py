"""The shortlist: whatever the rules and the event, it decides as the whole snapshot does."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from mutt.events.event import Event
from mutt.rules.decision import decide
from mutt.rules.rule import Handling, MatchType, Rule, build_snapshot
from mutt.rules.shortlist import Shortlist

TEXTS = st.text(alphabet="abAB.*+?()[]{}|^$\\ \nü🔥", min_size=1, max_size=4)
RULES = st.builds(
    Rule,
    st.integers(1, 1000), st.none() | TEXTS, st.none() | st.sampled_from(["1.3", "1.3.6"]), st.none() | st.just(3),
    st.sampled_from([MatchType.CONTAINS, MatchType.REGEX]), st.integers(1, 5), st.just(Handling.TICKET_ONLY),
    st.just(Handling.LOG_ONLY), st.just("NETO"),
)  # fmt: skip


def an_event(message: str, severity: int | None = None, oid: str | None = None) -> Event:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    return Event("e", "c", now, now, "edge-1", message, syslog_severity=severity, trap_oid=oid)


@settings(max_examples=300, deadline=None)
@given(st.lists(RULES, max_size=12), TEXTS, st.none() | st.integers(2, 4), st.none() | st.just("1.3.6.1"))
def test_it_decides_as_the_whole_snapshot(rules: list[Rule], message: str, severity: int | None, oid: str) -> None:
    snapshot, event = build_snapshot(rules), an_event(message, severity, oid)
    assert decide(event, Shortlist(snapshot).snapshot_for(event)) == decide(event, snapshot)


def test_it_leaves_out_what_does_not_match() -> None:
    rules = [
        Rule(
            number, f"port {number} down", None, None, MatchType.REGEX, 5, Handling.TICKET_ONLY, Handling.LOG_ONLY, "N"
        )
        for number in range(1, 100)
    ]
    snapshot = build_snapshot([*rules, Rule(
        100, None, None, 3, MatchType.CONTAINS, 1, Handling.TICKET_ONLY, Handling.LOG_ONLY, "N"
    )])  # fmt: skip
    left = Shortlist(snapshot).snapshot_for(an_event("port 7 down"))
    assert [each.rule.id for each in left.rules] == [7, 100]
