"""A rule, and the snapshot of all rules, development hosts and teams that a decision is made with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import re2

from mutt.rules.index import Index
from mutt.rules.regex import Regex

MAX_PATTERN = 4096
"""Characters of a match_string; a rule longer than this is a data file, not a rule."""


class MatchType(StrEnum):
    CONTAINS = "contains"
    REGEX = "regex"
    OID_PREFIX = "oid_prefix"


class Handling(StrEnum):
    """What is done about an event."""

    PAGE_AND_TICKET = "Page_and_ticket"
    TICKET_ONLY = "Ticket_only"
    EMAIL_ONLY = "Email_only"
    LOG_ONLY = "Log_only"
    SUPPRESS = "Suppress"


FORWARDED = frozenset((Handling.PAGE_AND_TICKET, Handling.TICKET_ONLY))
"""The handlings that go to Moogsoft; the others end with the audit row."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of alert_rules. A condition that is None does not take part."""

    id: int
    match_string: str | None
    trap_oid: str | None
    syslog_severity: int | None
    match_type: MatchType
    priority: int
    prod_handling: Handling
    dev_handling: Handling
    team_assignment: str


class UnusableRuleError(ValueError):
    """A rule that cannot be matched; the text says why, ``field`` names what is to blame."""

    def __init__(self, sentence: str, field: str = "match_string") -> None:
        super().__init__(sentence)
        self.field = field


def compile_pattern(pattern: str) -> "re2._Regexp[str]":
    """An RE2 pattern, linear in the length of the message. Raises UnusableRuleError with RE2's reason."""
    if len(pattern) > MAX_PATTERN:
        raise UnusableRuleError(f"match_string must be at most {MAX_PATTERN} characters long, not {len(pattern)}")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except UnicodeEncodeError:
        raise UnusableRuleError("match_string holds characters that are not Unicode text") from None
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise UnusableRuleError(f"match_string is not a valid RE2 pattern: {reason}") from error


def check_conditions(
    match_type: str, match_string: str | None, trap_oid: str | None, syslog_severity: int | None
) -> None:
    """Raises UnusableRuleError, naming the field, when a rule with these conditions must not be stored.

    It demands what the constraints of the table alert_rules demand, and that a pattern can be compiled.
    """
    if match_string is None and trap_oid is None and syslog_severity is None:
        raise UnusableRuleError(
            "the rule has no condition: match_string, trap_oid or syslog_severity is needed", "match_type"
        )
    if match_type == MatchType.REGEX and match_string is None:
        raise UnusableRuleError("match_string is required when match_type is regex")
    if match_type == MatchType.OID_PREFIX and trap_oid is None:
        raise UnusableRuleError("trap_oid is required when match_type is oid_prefix", "trap_oid")
    if match_type == MatchType.CONTAINS and match_string is None and trap_oid is not None:
        raise UnusableRuleError(
            "match_string is required when match_type is contains and trap_oid is given; "
            "for a rule on the OID alone, match_type is oid_prefix"
        )
    if match_string == "" or trap_oid == "":
        field = "match_string" if match_string == "" else "trap_oid"
        raise UnusableRuleError(f"{field} must not be empty: it would match every event", field)
    if match_type == MatchType.REGEX and match_string is not None:
        compile_pattern(match_string)


def normal_oid(oid: str) -> str:
    """The OID without a leading dot and with a trailing one, so that a prefix ends at a whole arc."""
    return oid.strip(".") + "."


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its conditions ready to be tried."""

    rule: Rule
    substring: str | None
    pattern: Regex | None
    oid_prefix: str | None
    syslog_severity: int | None

    @classmethod
    def of(cls, rule: Rule) -> "CompiledRule":
        """Raises UnusableRuleError when the rule cannot be tried."""
        if rule.match_string is None and rule.trap_oid is None and rule.syslog_severity is None:
            raise UnusableRuleError("the rule has no condition: match_string, trap_oid or syslog_severity is needed")
        is_regex = rule.match_type is MatchType.REGEX
        return cls(
            rule,
            substring=None if is_regex else rule.match_string,
            pattern=Regex(compile_pattern(rule.match_string)) if is_regex and rule.match_string is not None else None,
            oid_prefix=None if rule.trap_oid is None else normal_oid(rule.trap_oid),
            syslog_severity=rule.syslog_severity,
        )

    def holds(self, message: str, severity: int | None, oid: str | None) -> bool:
        """Whether all conditions hold; ``oid`` is a normal one. This is what matching means: an index only saves work.

        The cheapest conditions come first.
        """
        if self.syslog_severity is not None and (severity is None or severity > self.syslog_severity):
            return False
        if self.oid_prefix is not None and (oid is None or not oid.startswith(self.oid_prefix)):
            return False
        if self.substring is not None and self.substring not in message:
            return False
        return self.pattern is None or bool(self.pattern.search(message))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a decision depends on besides the event, immutable so that a reload never tears a batch apart.

    ``rules`` are in the order they are tried. Host names in ``development_hosts`` and ``teams`` are in lower case.
    ``unusable`` are stored rules that cannot be tried, with the reason: they are skipped and reported, never fatal.
    ``index`` finds what matches among these very rules; without one they are tried in turn, with the same result.
    """

    rules: tuple[CompiledRule, ...] = ()
    development_hosts: frozenset[str] = frozenset()
    teams: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[int, str] = field(default_factory=dict)
    index: Index | None = field(default=None, init=False, repr=False, compare=False)

    def indexed(self) -> "Snapshot":
        """The snapshot with an index, for many events. 10,000 rules take a third of a second: native threads can."""
        with_index = replace(self)
        # The one moment it changes, before anybody else has it. Not a parameter: replace() must not keep the index of
        # other rules.
        object.__setattr__(with_index, "index", Index(self.rules))
        return with_index


def build_snapshot(
    rules: Iterable[Rule], development_hosts: Iterable[str] = (), teams: Mapping[str, str] | None = None
) -> Snapshot:
    """The snapshot of these rules, tried from the highest priority down, then by id."""
    compiled, unusable = [], {}
    for rule in sorted(rules, key=lambda rule: (-rule.priority, rule.id)):
        try:
            compiled.append(CompiledRule.of(rule))
        except UnusableRuleError as error:
            unusable[rule.id] = str(error)
    return Snapshot(
        tuple(compiled),
        frozenset(host.lower() for host in development_hosts),
        {host.lower(): team for host, team in (teams or {}).items()},
        unusable,
    )
