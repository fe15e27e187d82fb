"""Finds rules that no event can reach, because a rule that is tried before them matches whatever they match.

Only what can be proven is claimed: two rules that together hide a third are not found, nor is most of what needs a
regex to be understood. A rule that is not reported may be hidden all the same.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mutt.rules.index import asked_text
from mutt.rules.rule import CompiledRule, Snapshot
from mutt.rules.text_search import TextSearch

_LITERAL = re.compile(r"(?:[^\\.+*?()|\[\]{}^$]|\\[!-/:-@\[-`{-~])*")
"""Characters that stand for themselves, in RE2's syntax: those that mean nothing, or punctuation with a backslash."""

_LOOKS_AROUND = re.compile(r"[\^$]|\\[AbBzZ]")
"""What asks about the text around the match; without it, a text that contains a match matches."""


class Hidden(NamedTuple):
    """A rule that ``by``, tried before it, keeps every event from. ``equal``: the two match exactly the same events."""

    rule: CompiledRule
    by: CompiledRule
    equal: bool


def hidden_rules(snapshot: Snapshot) -> Iterator[Hidden]:
    """The rules of the snapshot that another one hides, each with the first that does, in the order tried."""
    fronts = _Fronts(snapshot.rules)
    same_pattern: dict[str, list[int]] = {}
    for place, rule in enumerate(snapshot.rules):
        near = set(fronts.places(""))
        for text in required_texts(rule):
            near.update(fronts.places(text))
        if rule.pattern is not None:
            near.update(same_pattern.get(rule.pattern.pattern, ()))
            same_pattern.setdefault(rule.pattern.pattern, []).append(place)
        front = next((each for each in sorted(near) if each < place and covers(snapshot.rules[each], rule)), None)
        if front is not None:
            by = snapshot.rules[front]
            yield Hidden(rule, by, equal=covers(rule, by))


class _Fronts:
    """Rules that may cover another one."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        texts = [asked_text(rule) for rule in rules]
        self._without_text = [place for place, text in enumerate(texts) if text is None]
        self._places = [place for place, text in enumerate(texts) if text is not None]
        self._search = TextSearch([text for text in texts if text is not None])

    def places(self, text: str) -> list[int]:
        """The places of the rules that ask nothing of the message, and of those that may match the text."""
        return [*self._without_text, *(self._places[candidate] for candidate in self._search.candidates(text))]


def covers(front: CompiledRule, behind: CompiledRule) -> bool:
    """Whether it is proven that ``front`` matches every event that ``behind`` matches."""
    return _severity_covers(front, behind) and _oid_covers(front, behind) and _text_covers(front, behind)


def _severity_covers(front: CompiledRule, behind: CompiledRule) -> bool:
    if front.syslog_severity is None:
        return True
    return behind.syslog_severity is not None and behind.syslog_severity <= front.syslog_severity


def _oid_covers(front: CompiledRule, behind: CompiledRule) -> bool:
    if front.oid_prefix is None:
        return True
    return behind.oid_prefix is not None and behind.oid_prefix.startswith(front.oid_prefix)


def _text_covers(front: CompiledRule, behind: CompiledRule) -> bool:
    if front.pattern is not None:
        if behind.pattern is not None and behind.pattern.pattern == front.pattern.pattern:
            return True
        if _LOOKS_AROUND.search(front.pattern.pattern):
            return False
        return any(front.pattern.search(text) for text in required_texts(behind))
    if front.substring is not None:
        return any(front.substring in text for text in required_texts(behind))
    return True


def required_texts(rule: CompiledRule) -> list[str]:
    """Texts that every message the rule matches contains; none when that cannot be told.

    A regex gives them when it is nothing but plain texts with ``.*`` or ``.+`` between them.
    """
    if rule.substring is not None:
        return [rule.substring]
    if rule.pattern is None:
        return []
    pieces = re.split(r"\.[*+]", rule.pattern.pattern)
    if not all(_LITERAL.fullmatch(piece) for piece in pieces):
        return []
    return [re.sub(r"\\(.)", r"\1", piece) for piece in pieces]
