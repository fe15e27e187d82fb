"""Which of very many rules are worth trying on a message, found with one search instead of one for each rule."""

from dataclasses import replace

import re2

from mutt.events.event import Event
from mutt.rules.rule import CompiledRule, Snapshot

MOST_BYTES = 64 * 1024 * 1024
"""Memory that the search may take; RE2 gives up on a message that needs more, and then all rules are tried."""


class Shortlist:
    """The rules of a snapshot, ready for many events. It costs as much as trying them on a few dozen."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._asking: list[int] = []
        """Places of the rules that ask something of the message, in the order they were added to the set."""
        self._others: list[int] = []
        options = re2.Options()
        options.log_errors = False
        options.max_mem = MOST_BYTES
        self._set = re2.Set.SearchSet(options)
        for place, rule in enumerate(snapshot.rules):
            pattern = _pattern(rule)
            if pattern is None:
                self._others.append(place)
            else:
                self._set.Add(pattern)
                self._asking.append(place)
        if self._asking:
            self._set.Compile()

    def snapshot_for(self, event: Event) -> Snapshot:
        """A snapshot that decides about this event as the whole one does: what is left out does not match it."""
        found = self._set.Match(event.message) if self._asking else []
        if not found:
            # Nothing was found, or RE2 gave up, which looks the same.
            return self._snapshot
        places = sorted([*self._others, *(self._asking[at] for at in found)])
        return replace(self._snapshot, rules=tuple(self._snapshot.rules[place] for place in places))


def _pattern(rule: CompiledRule) -> str | None:
    """What the message has to hold; None when the rule does not ask."""
    if rule.substring is not None:
        return str(re2.escape(rule.substring))
    return rule.rule.match_string if rule.pattern is not None else None
