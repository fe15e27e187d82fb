"""Rules as the API shows and takes them, their test, their backtest and the document of a whole rule set."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mutt.admin.shapes.common import ChangeReason, Page, Paging
from mutt.rules.rule import MAX_PATTERN, MatchType

Priority = Annotated[int, Meta(ge=1, le=1000, description="The highest priority that matches decides.")]
MatchString = Annotated[str, Meta(min_length=1, max_length=MAX_PATTERN)]
Oid = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^\.?[0-9]+(\.[0-9]+)*\.?$")]
Severity = Annotated[int, Meta(ge=0, le=7, description="Matches events at least this severe; 0 is the most severe.")]
Team = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
ProdHandling = Literal["Page_and_ticket", "Ticket_only", "Email_only", "Log_only"]
DevHandling = Literal["Ticket_only", "Email_only", "Log_only", "Suppress"]
RuleId = Annotated[int, Meta(ge=1, le=2147483647)]


class RuleDraft(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A rule to be created, or to be tried before it is. At least one condition is needed."""

    match_type: MatchType
    priority: Priority
    prod_handling: ProdHandling
    dev_handling: DevHandling
    team_assignment: Team
    match_string: MatchString | None = None
    trap_oid: Oid | None = None
    syslog_severity: Severity | None = None
    is_active: bool = True
    reason: ChangeReason | None = None


class RuleChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of a rule that are to change; those that are not given stay."""

    match_type: MatchType | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    prod_handling: ProdHandling | UnsetType = UNSET
    dev_handling: DevHandling | UnsetType = UNSET
    team_assignment: Team | UnsetType = UNSET
    match_string: MatchString | UnsetType | None = UNSET
    trap_oid: Oid | UnsetType | None = UNSET
    syslog_severity: Severity | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    reason: ChangeReason | None = None


class Rule(msgspec.Struct, kw_only=True):
    """A rule as it is stored.

    The hits count the events it decided; they are None while Redis is away. Older than a day they are kept by day, so
    that they are estimates at the far end of their window.
    """

    id: int
    match_string: str | None
    trap_oid: str | None
    syslog_severity: int | None
    match_type: str
    priority: int
    prod_handling: str
    dev_handling: str
    team_assignment: str
    is_active: bool
    created_at: datetime
    updated_at: datetime
    hits_24h: int | None = None
    hits_7d: int | None = None
    last_hit: datetime | None = None
    problem: str | None = None
    """Why the stored rule cannot be used, when it cannot."""


class RuleFilter(Paging, kw_only=True):
    """Which rules a list shows."""

    is_active: bool | None = None
    match_type: MatchType | None = None
    team: Annotated[str, Meta(max_length=100)] | None = None
    q: Annotated[str, Meta(max_length=200, description="Text within match_string, trap_oid or team.")] | None = None


class RulePage(Page, kw_only=True):
    rules: list[Rule]


class RuleKey(msgspec.Struct):
    rule_id: RuleId


class RuleChanged(msgspec.Struct):
    """The answer of a PUT: what was done, and the rule as it is now."""

    message: str
    rule: Rule


class RuleRemoval(msgspec.Struct):
    """DELETE takes the reason in the query too, as many clients cannot send a body with it."""

    rule_id: RuleId
    reason: ChangeReason | None = None


# --- test ---------------------------------------------------------------------------------------------------------


class RuleTest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An event as a source would send it and, perhaps, a draft that is tried with the stored rules.

    With ``rule_id`` the draft takes the place of that rule; without, it is tried as the newest rule, as it would be
    once it is created.
    """

    event: dict[str, Any]
    rule: RuleDraft | None = None
    rule_id: RuleId | None = None


class DecisionView(msgspec.Struct, kw_only=True):
    handling: str
    team: str | None
    environment: str
    forward: bool
    unhandled_pattern: str | None
    """What the event is counted under when no rule matched."""


class TriedRule(msgspec.Struct):
    """``rule_id`` 0 is a draft that takes no rule's place."""

    rule_id: int
    matched: bool
    why: str


class RuleTestResult(msgspec.Struct, kw_only=True):
    """What the appliance would do. ``payload`` is the alert exactly as Moogsoft would get it, None when none goes."""

    decision: DecisionView
    rule_id: int | None
    trace: list[TriedRule]
    payload: Any | None
    event: dict[str, Any]
    """The event as ingest would store it."""


# --- backtest -----------------------------------------------------------------------------------------------------


class BacktestRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to try on the audit log from ``start`` on and before ``end`` (no offset: UTC). Either ``rule``, a draft,
    which takes the place of the rule ``rule_id`` if given; or ``remove`` and the ``rule_id``; or ``rules``, which
    replace all. The newest ``most_events`` are judged; every group of the result shows up to ``samples`` events."""

    start: datetime
    end: datetime
    rule: RuleDraft | None = None
    rule_id: RuleId | None = None
    remove: bool = False
    rules: Annotated[list[RuleDraft], Meta(max_length=20_000)] | None = None
    most_events: Annotated[int, Meta(ge=1, le=5_000_000)] = 1_000_000
    samples: Annotated[int, Meta(ge=0, le=50)] = 5


class BacktestSample(msgspec.Struct, kw_only=True):
    """``rule_then`` is 0 for a draft without a rule_id, and for ``rules`` the place among them, counted from 1."""

    event_timestamp: datetime
    hostname: str
    message: str
    correlation_id: str
    handling_now: str
    handling_then: str
    team_now: str | None
    team_then: str | None
    rule_now: int | None
    rule_then: int | None


class BacktestGroup(msgspec.Struct, kw_only=True):
    """How many events, and the newest of them."""

    count: int = 0
    samples: list[BacktestSample] = []


class BacktestProgress(msgspec.Struct, kw_only=True):
    """Where the backtest is; the last one has ``done`` and the whole result.

    "now" is what the stored rules decide today (not what was decided when the event came), "then" what the tried
    ones would. ``page`` counts Page_and_ticket alone, ``forward`` everything that goes to Moogsoft. An event may be
    in several groups; ``unchanged`` are those in none, which keep handling and team.
    """

    done: bool
    events: int
    of: int
    seconds: float
    cut_short: bool = False
    """There were more events than ``most_events``; the newest were judged."""
    unchanged: int = 0
    pages_now: int = 0
    pages_then: int = 0
    forwards_now: int = 0
    forwards_then: int = 0
    matched: int = 0
    """Events that the draft, or any of ``rules``, decides."""
    newly_page: BacktestGroup = msgspec.field(default_factory=BacktestGroup)
    stop_paging: BacktestGroup = msgspec.field(default_factory=BacktestGroup)
    newly_forward: BacktestGroup = msgspec.field(default_factory=BacktestGroup)
    stop_forwarding: BacktestGroup = msgspec.field(default_factory=BacktestGroup)
    change_team: BacktestGroup = msgspec.field(default_factory=BacktestGroup)
    change_handling: BacktestGroup = msgspec.field(default_factory=BacktestGroup)


# --- hygiene ------------------------------------------------------------------------------------------------------


class RuleFinding(msgspec.Struct, kw_only=True):
    """``kind``: shadowed (no event can reach it, ``by`` names the rule in front), duplicate (the same, and both match
    the same events), unusable (cannot be compiled, so it is skipped) or unused (no hit in ``days``)."""

    rule_id: int
    kind: Literal["shadowed", "unused", "unusable", "duplicate"]
    sentence: str
    by: int | None = None


class Hygiene(msgspec.Struct, kw_only=True):
    findings: list[RuleFinding]
    days: int


class HygieneFilter(msgspec.Struct, kw_only=True):
    days: Annotated[int, Meta(ge=1, le=30)] = 30


# --- rules as code ------------------------------------------------------------------------------------------------


class RuleExample(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An event inside a rule's document and what has to come of it; ``match`` false: this rule must not decide."""

    event: dict[str, Any]
    match: bool = True
    handling: str | None = None
    team: str | None = None


class RuleDocument(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rule in a rule set. ``id`` says which stored rule it is; without one it is found by its conditions, or new."""

    match_type: MatchType
    priority: Priority
    prod_handling: ProdHandling
    dev_handling: DevHandling
    team_assignment: Team
    match_string: MatchString | None = None
    trap_oid: Oid | None = None
    syslog_severity: Severity | None = None
    is_active: bool = True
    id: RuleId | None = None
    examples: list[RuleExample] = []


class RuleSet(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The document that export writes and plan and apply read; ``version`` is that of the document's form."""

    rules: Annotated[list[RuleDocument], Meta(max_length=20_000)]
    version: Literal[1] = 1


class PlanRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``prune`` also deactivates active rules that the document does not name. ``plan_etag`` of an apply is the plan
    that was looked at: when the rules have changed since, the answer is 412."""

    rules: Annotated[list[RuleDocument], Meta(max_length=20_000)]
    version: Literal[1] = 1
    prune: bool = False
    plan_etag: str | None = None
    reason: ChangeReason | None = None


class FieldChange(msgspec.Struct):
    field: str
    old: Any
    new: Any


class PlannedChange(msgspec.Struct, kw_only=True):
    action: Literal["create", "update", "delete"]
    rule_id: int | None
    index: int | None
    """Place in the document, counted from 0; None for a rule that is pruned."""
    summary: str
    changes: list[FieldChange]


class FailedExample(msgspec.Struct, kw_only=True):
    index: int
    example: int
    sentence: str


class Plan(msgspec.Struct, kw_only=True):
    creates: int
    updates: int
    deletes: int
    unchanged: int
    changes: list[PlannedChange]
    failed_examples: list[FailedExample]
    plan_etag: str
    applied: bool = False


class ExportFilter(msgspec.Struct, kw_only=True):
    format: Literal["yaml", "json"] = "yaml"
    include_inactive: bool = False
