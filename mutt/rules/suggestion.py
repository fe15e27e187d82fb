"""A condition for events of one pattern: what a rule for them could look for. A person looks at it first."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from mutt.events.event import Event
from mutt.rules.matcher import first_match
from mutt.rules.rule import CompiledRule, Handling, MatchType, Rule, Snapshot, UnusableRuleError

SHORTEST_TEXT = 8
"""Characters of a literal that say enough to be looked for by themselves."""

SHORTEST_OID = 7
"""Arcs that traps must share: 1.3.6.1.4.1 and the number of an enterprise."""

MOST_WORDS = 20

FEWEST_LETTERS = 3
"""Letters beside the masks without which an expression would match anything."""

_MASK = re.compile(r'(<(?:uuid|mac|ip|time|if|hex|n)>|"\*")')
_QUOTED = "(?:\"[^\"]*\"|'[^']*')"
_ANYTHING = r"\S+"
_DIALECTS = ((r"\s+", "[0-9]+(?:[.,][0-9]+)*"), (r"[\s\x{0b}\x{1c}-\x{1f}\x{85}\pZ]+", _ANYTHING))
"""What stands for spaces and for numbers. The second one reads badly: it knows every space that Unicode has, and takes
a mask that stood in the message itself. Few messages need it."""

_SPECIAL = re.compile(r"([\\.^$|?*+()\[\]{}])")


class Suggestion(NamedTuple):
    """The conditions of a rule."""

    match_type: MatchType
    match_string: str | None
    trap_oid: str | None


def suggest(masked: str, events: Sequence[Event]) -> Suggestion | None:
    """What a rule for the masked message could look for; it matches all of the sample ``events``.

    The OID of traps, else the longest text between two masks, else a regular expression made of the masks. None when
    nothing of that matches.
    """
    candidates = (_of_traps(events), *_texts(masked), *_expressions(masked))
    return next((each for each in candidates if each is not None and _matches_all(each, events)), None)


def _of_traps(events: Sequence[Event]) -> Suggestion | None:
    oids = [event.trap_oid.strip(".").split(".") for event in events if event.trap_oid]
    if not oids or len(oids) < len(events):
        return None
    shared = []
    for arcs in zip(*oids, strict=False):
        if len(set(arcs)) > 1:
            break
        shared.append(arcs[0])
    if len(shared) < min(SHORTEST_OID, *map(len, oids)):
        return None
    return Suggestion(MatchType.OID_PREFIX, None, ".".join(shared))


def _texts(masked: str) -> Iterable[Suggestion]:
    """The literals between the masks, the longest first."""
    literals = [each.strip() for each in _MASK.split(masked)[::2]]
    for literal in sorted(literals, key=len, reverse=True):
        if len(literal) >= SHORTEST_TEXT and any(map(str.isalpha, literal)):
            yield Suggestion(MatchType.CONTAINS, literal, None)


def _expressions(masked: str) -> Iterable[Suggestion]:
    """Regular expressions from the beginning of the message on, shorter and shorter: samples may be cut."""
    all_words = masked.split()
    count = min(len(all_words), MOST_WORDS)
    while count > 0:
        whole = count == len(all_words)
        letters = sum(map(str.isalpha, _MASK.sub("", "".join(all_words[:count]))))
        for spaces, number in _DIALECTS:
            # With hardly a letter that stays, only the exact form of the whole message says something.
            if letters >= FEWEST_LETTERS or (whole and (spaces, number) == _DIALECTS[0]):
                words = spaces.join(_word(each, number) for each in all_words[:count])
                some = spaces[:-1] + "*"
                yield Suggestion(MatchType.REGEX, f"^{some}{words}" + (f"{some}$" if whole else ""), None)
        count //= 2


def _word(masked: str, number: str) -> str:
    """The expression for one word of the masked message."""
    masks = {"<n>": number, '"*"': _QUOTED}
    return "".join(
        masks.get(part, _ANYTHING) if place % 2 else _SPECIAL.sub(r"\\\1", part)
        for place, part in enumerate(_MASK.split(masked))
    )


def _matches_all(suggestion: Suggestion, events: Sequence[Event]) -> bool:
    rule = Rule(0, suggestion.match_string, suggestion.trap_oid, None, suggestion.match_type, 1, Handling.LOG_ONLY,
                Handling.LOG_ONLY, "")  # fmt: skip
    try:
        snapshot = replace(Snapshot(), rules=(CompiledRule.of(rule),))
    except UnusableRuleError:
        return False
    return all(first_match(event, snapshot) is not None for event in events)
