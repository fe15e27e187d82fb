"""Decides about events with two snapshots at once: what backtests count, at a speed for millions of events.

Both decisions are those of ``decide``; only rules that cannot match the event's text are left out before it is asked.
"""

from collections.abc import Sequence

import re2

from mutt.events.event import Event
from mutt.rules.decision import Decision, decide
from mutt.rules.rule import CompiledRule, Rule, Snapshot

SET_BYTES = 32 * 1024 * 1024
"""Memory for the automaton of all texts; when it does not suffice, every rule is tried in turn instead."""

MOST_KEPT = 1_000_000
"""Places of rules in the narrowed snapshots that are kept, some 8 MB; with more, all are made anew when needed."""


class TextFilter:
    """Finds in one pass over a text which of many rules it lets through: those whose text condition holds or that
    have none."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        patterns = [_as_pattern(rule) for rule in rules]
        self._everything = range(len(rules))
        self._without_text = [place for place, pattern in enumerate(patterns) if pattern is None]
        self._places = [place for place, pattern in enumerate(patterns) if pattern is not None]
        self._set = _compiled_set([*(pattern for pattern in patterns if pattern is not None), ""])
        self._complete = len(self._places)

    def matches(self, text: str) -> tuple[int, ...] | None:
        """What ``places`` understands; the same for texts that let the same rules through."""
        found = self._set.Match(text) if self._set is not None else None
        # RE2 answers nothing when it has run out of memory. The empty text, which every text contains, tells.
        return tuple(found) if found is not None and self._complete in found else None

    def places(self, matches: tuple[int, ...] | None) -> Sequence[int]:
        """The places of the rules, in their order."""
        if matches is None:
            return self._everything
        return sorted([*self._without_text, *(self._places[match] for match in matches if match != self._complete)])


def _as_pattern(rule: CompiledRule) -> str | None:
    """The rule's text condition as a regex, None without one."""
    if rule.pattern is not None:
        return str(rule.pattern.pattern)
    return None if rule.substring is None else str(re2.escape(rule.substring))


def _compiled_set(patterns: Sequence[str]) -> "re2.Set | None":
    options = re2.Options()
    options.log_errors = False
    options.max_mem = SET_BYTES
    together = re2.Set.SearchSet(options)
    try:
        for pattern in patterns:
            together.Add(pattern)
        together.Compile()
    except re2.error:
        return None
    return together


class Comparison:
    """Two snapshots, ``now`` and ``then``, that events are judged by side by side."""

    def __init__(self, now: Snapshot, then: Snapshot) -> None:
        self._now, self._then = _Ordered(now), _Ordered(then)
        self._same_hosts = (now.development_hosts, now.teams) == (then.development_hosts, then.teams)
        # A rule that is the same in both has to be looked for once.
        distinct = {rule.rule: rule for rule in (*then.rules, *now.rules)}
        self._rules = [rule.rule for rule in distinct.values()]
        self._filter = TextFilter(list(distinct.values()))
        self._narrowed: dict[tuple[int, ...] | None, tuple[Snapshot, Snapshot]] = {}
        self._kept = 0

    def decide(self, event: Event) -> tuple[Decision, Decision]:
        """The decisions of the two snapshots, ``now`` first; one object when no rule that differs comes into play."""
        matches = self._filter.matches(event.message)
        narrowed = self._narrowed.get(matches)
        if narrowed is None:
            narrowed = self._narrow(matches)
        now, then = narrowed
        decided = decide(event, now)
        return decided, (decided if then is now else decide(event, then))

    def _narrow(self, matches: tuple[int, ...] | None) -> tuple[Snapshot, Snapshot]:
        """The two snapshots with the rules alone that such a text lets through; one object when they are the same."""
        through = [self._rules[place] for place in self._filter.places(matches)]
        now, then = self._now.only(through), self._then.only(through)
        if self._same_hosts and [rule.rule for rule in now.rules] == [rule.rule for rule in then.rules]:
            then = now
        if self._kept >= MOST_KEPT:
            self._narrowed.clear()
            self._kept = 0
        self._narrowed[matches] = now, then
        # Each of the snapshots takes a little room even without a rule.
        self._kept += len(now.rules) + len(then.rules) + 30
        return now, then


class _Ordered:
    """A snapshot that knows the place of each of its rules."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._places = {rule.rule: place for place, rule in enumerate(snapshot.rules)}

    def only(self, rules: Sequence[Rule]) -> Snapshot:
        """The snapshot with those of its rules alone that are among ``rules``, in the order they are tried."""
        places = sorted(self._places[rule] for rule in rules if rule in self._places)
        chosen = tuple(self._snapshot.rules[place] for place in places)
        return Snapshot(chosen, self._snapshot.development_hosts, self._snapshot.teams)
