"""The index: whatever the rules and the event, it finds the rule that trying them one after the other finds."""

import itertools
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mutt.events.event import Event
from mutt.rules import regex, text_search
from mutt.rules.matcher import first_match, trace
from mutt.rules.rule import CompiledRule, Handling, MatchType, Rule, Snapshot, build_snapshot
from mutt.rules.text_search import MARK, TextSearch

# Few characters, so that texts meet often: case, and letters that have three; İ, whose small letter is two; line ends;
# what means something to RE2.
LETTERS = "aAkK\u212asS\u017füÜİß🔥\n \x00"
TEXTS = st.text(LETTERS + ".*+?()[]{}|^$\\-", max_size=4)
PIECES = st.sampled_from(
    ["a", "K", "\u212a", "s", "İ", "ü", "🔥", ".", ".*", "[ak]", "[^a]", r"\w+", r"\s", r"\pL", "(a|s)", "a?", "K{2}",
     "(?i:k)", "(?i:ſÜ)", "(?i:İ)", "(a|)", r"\b", "^", "$", r"\A", r"\z", r"\n", r"\x{212a}", r"\Q.*\E", "(?s:.)",
     "(?-s:.)+", r"\C", "[[:alpha:]]", r"\x00"]
)  # fmt: skip
PATTERNS = TEXTS | st.builds(
    lambda flags, pieces: flags + "".join(pieces),
    st.sampled_from(["", "(?i)", "(?m)", "(?s)"]),
    st.lists(PIECES, max_size=5),
)
OIDS = st.lists(st.sampled_from(["1", "3", "33"]), max_size=4).map(".".join)
DOTTED = OIDS | OIDS.map(lambda oid: f".{oid}") | OIDS.map(lambda oid: f"{oid}.")
SEVERITIES = st.none() | st.integers(0, 7)
RULES = st.lists(
    st.builds(
        Rule, st.integers(1, 1000), st.none() | PATTERNS, st.none() | DOTTED, SEVERITIES, st.sampled_from(MatchType),
        st.integers(1, 3), st.just(Handling.TICKET_ONLY), st.just(Handling.LOG_ONLY), st.just("NETO"),
    ),
    max_size=12, unique_by=lambda rule: rule.id,
)  # fmt: skip


def an_event(message: str, severity: int | None = None, oid: str | None = None) -> Event:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    return Event("e", "c", now, now, "edge-1", message, syslog_severity=severity, trap_oid=oid)


@st.composite
def _messages_near(draw: st.DrawFn, rules: list[Rule]) -> str:
    """A message of pieces of what the rules ask for, now and then in another case."""
    asked = [rule.match_string for rule in rules if rule.match_string]
    pieces = draw(
        st.lists((st.sampled_from(asked) if asked else st.nothing()) | st.text(LETTERS, max_size=3), max_size=4)
    )
    return "".join(draw(st.sampled_from([piece, piece.upper(), piece.lower(), piece[:-1]])) for piece in pieces)


RULES_AND_EVENTS = RULES.flatmap(
    lambda rules: st.tuples(
        st.just(rules),
        st.lists(st.builds(an_event, _messages_near(rules), SEVERITIES, st.none() | DOTTED), min_size=1, max_size=8),
    )
)


@settings(max_examples=300, deadline=None)
@given(RULES_AND_EVENTS)
def test_it_finds_what_trying_in_turn_finds(given_: tuple[list[Rule], list[Event]]) -> None:
    rules, events = given_
    plain = build_snapshot(rules)
    indexed = plain.indexed()
    for event in events:
        expected = in_turn(event, rules)
        assert _id(first_match(event, plain)) == expected
        assert _id(first_match(event, indexed)) == expected
        tried = trace(event, indexed)
        assert tried == trace(event, plain)
        assert [each.rule_id for each in tried if each.matched] == ([] if expected is None else [expected])


def in_turn(event: Event, rules: list[Rule]) -> int | None:
    """The id of the rule that decides, by the plainest of ways."""
    for rule in sorted(rules, key=lambda rule: (-rule.priority, rule.id)):
        if _can_be_tried(rule) and _holds(rule, event):
            return rule.id
    return None


def _can_be_tried(rule: Rule) -> bool:
    if rule.match_string is None:
        return rule.trap_oid is not None or rule.syslog_severity is not None
    return rule.match_type is not MatchType.REGEX or _compiled(rule.match_string) is not None


def _holds(rule: Rule, event: Event) -> bool:
    severity, oid, text = event.syslog_severity, event.trap_oid, rule.match_string
    if rule.syslog_severity is not None and (severity is None or severity > rule.syslog_severity):
        return False
    if rule.trap_oid is not None and (oid is None or not _arcs(oid).startswith(_arcs(rule.trap_oid))):
        return False
    if text is None:
        return True
    return _matches(text, event.message) if rule.match_type is MatchType.REGEX else text in event.message


def _arcs(oid: str) -> str:
    return oid.strip(".") + "."


def _id(match: CompiledRule | None) -> int | None:
    return None if match is None else match.rule.id


@settings(max_examples=100, deadline=None)
@given(RULES_AND_EVENTS, st.integers(1, 12))
def test_in_several_parts_it_finds_the_same(given_: tuple[list[Rule], list[Event]], characters: int) -> None:
    rules, events = given_
    plain = build_snapshot(rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_search, "MOST_CHARACTERS", characters)
        indexed = plain.indexed()
    for event in events:
        assert first_match(event, indexed) is first_match(event, plain)


@settings(max_examples=300, deadline=None)
@given(st.lists(PATTERNS, max_size=8), TEXTS)
@example(["a"], "\ud800")
@example(["\ud800", "a"], "a")
def test_candidates_are_in_order_and_complete(patterns: list[str], text: str) -> None:
    candidates = list(TextSearch(patterns).candidates(text))
    assert candidates == sorted(set(candidates))
    assert set(candidates) <= set(range(len(patterns)))
    assert all(place in candidates for place, pattern in enumerate(patterns) if _matches(pattern, text))


def _matches(pattern: str, text: str) -> bool:
    compiled = _compiled(pattern)
    try:
        return compiled is not None and compiled.search(text) is not None
    except UnicodeEncodeError:
        return False


def _compiled(pattern: str) -> "re2._Regexp[str] | None":
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        return None


def test_letters_that_have_several_forms_are_found_in_all() -> None:
    """RE2 seeks the literals regardless of case: no form of a letter may escape it."""
    forms: dict[str, set[str]] = {}
    for letter in map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x20000)]):
        for form in {letter.lower(), letter.upper(), letter.casefold()} - {letter}:
            forms.setdefault(form[0], set()).update((letter, form[0]))
            forms.setdefault(letter, set()).update((letter, form[0]))
    letters = sorted(forms)
    search = TextSearch([*map(re2.escape, letters), *(f"(?i){re2.escape(letter)}" for letter in letters)])
    insensitive = [re2.compile(f"(?i){re2.escape(letter)}") for letter in letters]
    for place, letter in enumerate(letters):
        assert place in search.candidates(letter)
        for form in forms[letter]:
            if insensitive[place].search(form):
                assert place + len(letters) in search.candidates(form)


def numbered(count: int, text: str = "port {} down", kind: MatchType = MatchType.CONTAINS) -> Snapshot:
    return build_snapshot(
        Rule(number, text.format(number), None, None, kind, 5, Handling.TICKET_ONLY, Handling.LOG_ONLY, "NETO")
        for number in range(count)
    )


def test_only_few_rules_are_tried() -> None:
    texts = [rf"(?i)site-{number}-\w+ .*(timeout|unreachable)" for number in range(2000)]
    assert list(TextSearch(texts).candidates("SITE-7-A and site-8-b: Unreachable")) == [7, 8]
    assert list(TextSearch(texts).candidates("site-7-a is fine")) == []


def test_a_search_without_memory_is_not_taken_for_no_match(monkeypatch: pytest.MonkeyPatch) -> None:
    """RE2 answers nothing at all when it runs out of memory midway."""

    class OutOfMemory:
        def Match(self, text: bytes, potential: bool) -> None:  # noqa: N802 - as RE2 spells it
            assert text == b"port 7 down" + MARK
            assert potential

    snapshot = numbered(100).indexed()
    assert snapshot.index is not None
    search = snapshot.index._search
    monkeypatch.setattr(search, "_parts", [part._replace(filter=OutOfMemory()) for part in search._parts])
    assert list(search.candidates("port 7 down")) == list(range(100))
    match = first_match(an_event("port 7 down"), snapshot)
    assert match is snapshot.rules[7]


def test_a_regex_without_memory_is_sought_in_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "_finder", lambda _pattern: regex._find_nothing)
    snapshot = numbered(10, "port {} .*down", MatchType.REGEX).indexed()
    for _ in range(3):
        assert first_match(an_event("port 7 is down"), snapshot) is snapshot.rules[7]
        assert first_match(an_event("port 7 is up"), snapshot) is None


def test_a_regex_too_big_for_the_quick_way_is_sought_all_the_same() -> None:
    pattern = r"(\pL{1,150}-){2}"
    assert regex._finder(pattern) is regex._find_nothing
    compiled = regex.Regex(re2.compile(pattern))
    assert [compiled.search("a-" * count) for count in (1, 2, 1, 2)] == [False, True, False, True]


def test_rules_that_one_part_has_no_room_for_are_put_into_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_search, "MOST_CHARACTERS", 10**9)
    texts = [f"{number:05} {'x' * 1900} {number:05}" for number in range(400)]
    search = TextSearch(texts)
    assert len(search._parts) > 1
    for number in (0, 199, 200, 399):
        assert list(search.candidates(f"it says: {texts[number]}.")) == [number]


def test_a_pattern_that_no_part_has_room_for_is_always_tried() -> None:
    search = TextSearch(["port 1 down", "fan " + "x" * 1_000_000, "port 2 down"])
    assert list(search.candidates("port 2 down")) == [1, 2]


def test_threads_may_share_it() -> None:
    snapshot = numbered(3000, "port {} .*down", MatchType.REGEX).indexed()
    wrong: list[int] = []

    def look(first: int) -> None:
        for number in range(first, 3000, 4):
            match = first_match(an_event(f"port {number} is down"), snapshot)
            if match is not snapshot.rules[number]:
                wrong.append(number)

    threads = [threading.Thread(target=look, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_index_does_not_outlive_its_rules() -> None:
    """A copy of the snapshot with other rules must not be judged by those of before."""
    snapshot = numbered(10).indexed()
    other = replace(snapshot, rules=snapshot.rules[:5])
    assert first_match(an_event("port 7 down"), snapshot) is snapshot.rules[7]
    assert first_match(an_event("port 7 down"), other) is None
    assert snapshot == numbered(10)


@pytest.mark.parametrize("asked", [7, None])
def test_of_rules_without_a_text_the_first_decides(asked: int | None) -> None:
    """However long their prefixes are."""
    for order in itertools.permutations([None, "1.3", "1.3.6", "1.3.6.1", "1.3.6.1.4"]):
        rules = [
            Rule(
                number, None, oid, 7 if oid is None else asked, MatchType.OID_PREFIX, 5, Handling.LOG_ONLY,
                Handling.LOG_ONLY, "NETO",
            )
            for number, oid in enumerate(order)
        ]  # fmt: skip
        snapshot = build_snapshot(rules).indexed()
        for severity, oid in itertools.product((3, None), (None, "1.3", "1.3.6.9", "1.3.6.1")):
            event = an_event("", severity, oid)
            assert _id(first_match(event, snapshot)) == in_turn(event, rules)
