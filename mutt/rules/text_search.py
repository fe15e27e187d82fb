"""Which of very many patterns a text may match, found with one pass over the text instead of one for each pattern.

RE2 tells of each pattern which literals a text must hold for it to match ("Interface" and "down" for
``Interface.*down``) and finds the literals of all patterns together. Unlike an automaton of the whole patterns, that of
their literals stays small and quick on texts that nearly match a lot of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import re2

MARK = b"\0"
"""Put behind every text and sought in it: RE2 finds nothing at all when it runs out of memory, not even this."""

MOST_CHARACTERS = 250_000
"""Of patterns in one part, some 10,000 rules. RE2 gives the automaton of a part 8 MB; twice this does not fit."""


class TextSearch:
    """Patterns ready to be searched for together. It may be shared by threads."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._count = len(patterns)
        self._parts: list[_Part] = []
        self._always: list[int] = []
        """Patterns that RE2 has no room for, even alone."""
        for numbers in _in_pieces(patterns):
            self._add(patterns, numbers)

    def candidates(self, text: str) -> Sequence[int]:
        """In ascending order the places of patterns that may match; all those that do are among them."""
        found: list[int] = []
        try:
            marked = text.encode() + MARK
        except UnicodeEncodeError:
            # A lone surrogate: nothing that has passed ingest holds one.
            return range(self._count)
        for part in self._parts:
            hits = part.filter.Match(marked, True)
            if hits is None or hits[-1] != part.size:
                return range(self._count)
            hits.pop()
            found += hits if part.first == 0 else [part.first + hit for hit in hits]
        return sorted(found + self._always) if self._always else found

    def _add(self, patterns: Sequence[str], numbers: range) -> None:
        """Makes a part of these patterns, or several when one has no room for them."""
        together = _compiled([patterns[number] for number in numbers])
        if together is not None:
            self._parts.append(_Part(together, numbers.start, len(numbers)))
        elif len(numbers) == 1:
            self._always.append(numbers.start)
        else:
            middle = len(numbers) // 2
            self._add(patterns, numbers[:middle])
            self._add(patterns, numbers[middle:])


class _Part(NamedTuple):
    """Consecutive patterns, of which ``first`` is the first; the mark has the number behind the last, ``size``."""

    filter: "re2.Filter"
    first: int
    size: int


def _in_pieces(patterns: Sequence[str]) -> list[range]:
    """The places of the patterns in pieces of about the same size that RE2 is likely to have room for."""
    most = -(-sum(map(len, patterns)) // MOST_CHARACTERS) or 1
    length = -(-len(patterns) // most) or 1
    return [range(first, min(first + length, len(patterns))) for first in range(0, len(patterns), length)]


def _compiled(patterns: Sequence[str]) -> "re2.Filter | None":
    """None when RE2 cannot take them all."""
    options = re2.Options()
    options.log_errors = False
    together = re2.Filter()
    try:
        for pattern in (*patterns, re2.escape(MARK.decode())):
            together.Add(pattern, options)
        together.Compile()
    except (re2.error, UnicodeEncodeError):
        return None
    return together
