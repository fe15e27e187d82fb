"""What a draft says about a rule: checked, as the table holds it, and as decisions are made with it."""

from mutt.admin.shapes.rules import RuleDocument, RuleDraft
from mutt.errors import Reason, RequestError
from mutt.events.admit import storable
from mutt.rules.rule import Handling, MatchType, Rule, UnusableRuleError, check_conditions
from mutt.store.rules import RuleValues

MOST_TEXT_SHOWN = 80


def values_of(draft: RuleDraft | RuleDocument) -> RuleValues:
    """The columns of the rule that the draft describes."""
    return RuleValues(
        draft.match_string,
        draft.trap_oid,
        draft.syslog_severity,
        str(draft.match_type),
        draft.priority,
        draft.prod_handling,
        draft.dev_handling,
        draft.team_assignment,
        draft.is_active,
    )


def problem_with(values: RuleValues) -> tuple[str, str] | None:
    """Why a rule with these values must not be stored: the field that is to blame, and the sentence."""
    if problem := _unstorable(values):
        return problem
    try:
        check_conditions(values.match_type, values.match_string, values.trap_oid, values.syslog_severity)
    except UnusableRuleError as error:
        return error.field, str(error)
    return None


def demand_valid(values: RuleValues, where: str = "") -> None:
    """Raises RequestError (400) that names the field when the rule must not be stored.

    ``where`` is the path of the rule in the request, ``rule.`` for example.
    """
    _refuse(problem_with(values), where)


def demand_storable(values: RuleValues, where: str = "") -> None:
    """As ``demand_valid``, but asks only whether PostgreSQL's texts can hold the values."""
    _refuse(_unstorable(values), where)


def _unstorable(values: RuleValues) -> tuple[str, str] | None:
    for field in ("match_string", "trap_oid", "team_assignment"):
        text = getattr(values, field)
        if text is not None and storable(text) != text:
            return field, f"{field} holds NUL or half a surrogate pair, which cannot be stored"
    return None


def _refuse(problem: tuple[str, str] | None, where: str) -> None:
    if problem is not None:
        field, sentence = problem
        raise RequestError(Reason.INVALID_RULE, 400, sentence, field=f"{where}{field}")


def judged(rule_id: int, values: RuleValues) -> Rule:
    """The rule as decisions are made with it."""
    return Rule(
        rule_id,
        values.match_string,
        values.trap_oid,
        values.syslog_severity,
        MatchType(values.match_type),
        values.priority,
        Handling(values.prod_handling),
        Handling(values.dev_handling),
        values.team_assignment,
    )


def conditions(values: RuleValues) -> str:
    """The conditions in a few words: ``contains "LINK DOWN", severity 3 or more severe``."""
    parts = []
    if values.match_string is not None:
        shown = values.match_string
        shown = shown if len(shown) <= MOST_TEXT_SHOWN else shown[: MOST_TEXT_SHOWN - 3] + "..."
        parts.append(f'{"matches" if values.match_type == MatchType.REGEX else "contains"} "{shown}"')
    if values.trap_oid is not None:
        parts.append(f"trap_oid under {values.trap_oid}")
    if values.syslog_severity is not None:
        parts.append(f"severity {values.syslog_severity} or more severe")
    return ", ".join(parts)
