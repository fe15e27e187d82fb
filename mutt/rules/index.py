"""Finds the first of many rules that matches, without trying those that cannot."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import re2

from mutt.rules.text_search import TextSearch

if TYPE_CHECKING:
    from mutt.rules.rule import CompiledRule


class Index:
    """Rules in the order they are tried, ready for many events. It does not change and may be shared by threads."""

    def __init__(self, rules: "Sequence[CompiledRule]") -> None:
        self._rules = tuple(rules)
        self._without_text = _WithoutText(self._rules)
        texts = {place: text for place, rule in enumerate(self._rules) if (text := asked_text(rule)) is not None}
        self._places = list(texts)
        self._search = TextSearch(list(texts.values()))
        self._first_with_text = min(texts, default=len(self._rules))

    def first(self, message: str, severity: int | None, oid: str | None) -> "CompiledRule | None":
        """The first rule whose conditions all hold, or None. ``oid`` is a normal one."""
        rules, places = self._rules, self._places
        best = self._without_text.first(severity, oid)
        if self._first_with_text < best:
            for candidate in self._search.candidates(message):
                place = places[candidate]
                if place >= best:
                    break
                if rules[place].holds(message, severity, oid):
                    return rules[place]
        return rules[best] if best < len(rules) else None


def asked_text(rule: "CompiledRule") -> str | None:
    """What the rule asks of the message, as a regex; None when it does not ask."""
    if rule.pattern is not None:
        return rule.pattern.pattern
    return None if rule.substring is None else str(re2.escape(rule.substring))


class _WithoutText:
    """The rules that ask nothing of the message, by the OID prefix they ask for; "" is none."""

    def __init__(self, rules: "Sequence[CompiledRule]") -> None:
        self._none = len(rules)
        self._steps: dict[str, list[tuple[int | None, int]]] = {}
        """For each prefix: the severity asked for, if any, and the place, in order."""
        for place, rule in enumerate(rules):
            if rule.substring is None and rule.pattern is None:
                steps = self._steps.setdefault(rule.oid_prefix or "", [])
                if not steps or _asks_less(rule.syslog_severity, steps[-1][0]):
                    steps.append((rule.syslog_severity, place))
        self._lengths = sorted(set(map(len, self._steps)))

    def first(self, severity: int | None, oid: str | None) -> int:
        """The place of the first one that holds; the number of all rules when none does."""
        best = self._none
        for length in self._lengths:
            # A normal prefix ends with a dot, so that a piece of a normal OID is equal to it at whole arcs only.
            for limit, place in self._steps.get(oid[:length] if oid else "", ()):
                if limit is None or (severity is not None and severity <= limit):
                    best = min(best, place)
                    break
        return best


def _asks_less(severity: int | None, before: int | None) -> bool:
    """Whether events hold to ``severity`` that do not hold to ``before``; else no event gets to a rule behind it."""
    return before is not None and (severity is None or severity > before)
