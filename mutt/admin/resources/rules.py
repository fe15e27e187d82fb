"""/rules: rules one by one, their test, and the whole rule set as a document."""

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Message, Operation
from mutt.admin.services.rule_sets import RuleSets
from mutt.admin.services.rule_tests import RuleTests
from mutt.admin.services.rules import Rules
from mutt.admin.shapes.common import Created, Removal
from mutt.admin.shapes.rules import (
    ExportFilter,
    Plan,
    PlanRequest,
    Rule,
    RuleChanged,
    RuleChanges,
    RuleDraft,
    RuleFilter,
    RuleKey,
    RulePage,
    RuleRemoval,
    RuleTest,
    RuleTestResult,
)

MOST_RULE_SET_BYTES = 16 * 1024 * 1024

YAML = "application/yaml"
JSON = "application/json"


class RulesResource:
    """``default_limit`` is the size of a page when none is asked for."""

    def __init__(self, rules: Rules, default_limit: int) -> None:
        self._rules = rules
        self._default_limit = default_limit

    def operations(self) -> list[Operation]:
        one = "/rules/{rule_id}"
        return [
            Operation("GET", "/rules", Scope.VIEWER, self.list, RulePage, RuleFilter),
            Operation("POST", "/rules", Scope.OPERATOR, self.create, Created, body=RuleDraft, status=201),
            Operation("GET", one, Scope.VIEWER, self.get, Rule, RuleKey, problems=(404,)),
            Operation("PUT", one, Scope.OPERATOR, self.update, RuleChanged, RuleKey, RuleChanges, problems=(404, 412)),
            Operation(
                "DELETE", one, Scope.OPERATOR, self.delete, Message, RuleRemoval, Removal, body_optional=True,
                problems=(404, 412),
            ),
        ]  # fmt: skip

    def list(self, call: Call) -> RulePage:
        """Rules in the order in which they are tried, with how often they decided."""
        return self._rules.list(call.parameters, self._default_limit)

    def get(self, call: Call) -> Rule:
        """One rule."""
        rule, call.etag = self._rules.get(call.parameters.rule_id)
        return rule

    def create(self, call: Call) -> Created:
        """Creates a rule; the alerters use it at once."""
        rule = self._rules.create(call.body, call.author(call.body.reason))
        call.location = f"/api/v2/rules/{rule.id}"
        return Created(rule.id, f"rule {rule.id} was created")

    def update(self, call: Call) -> RuleChanged:
        """Changes the given fields of a rule; the others stay."""
        rule_id, changes = call.parameters.rule_id, call.body
        rule, call.etag = self._rules.update(rule_id, changes, call.author(changes.reason), call.if_match)
        return RuleChanged(f"rule {rule_id} was updated", rule)

    def delete(self, call: Call) -> Message:
        """Switches a rule off. It stays readable, for the audit log names it."""
        rule_id, reason = call.parameters.rule_id, call.body.reason or call.parameters.reason
        self._rules.delete(rule_id, call.author(reason), call.if_match)
        return Message(f"rule {rule_id} was deleted: it is inactive now")


class RuleTestsResource:
    def __init__(self, tests: RuleTests) -> None:
        self._tests = tests

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "POST", "/rules/test", Scope.VIEWER, self.test, RuleTestResult, body=RuleTest, problems=(404,)
            )
        ]  # fmt: skip

    def test(self, call: Call) -> RuleTestResult:
        """What would be done about an event, with every rule that would be tried; nothing is queued."""
        return self._tests.test(call.body)


class RuleSetsResource:
    def __init__(self, rule_sets: RuleSets) -> None:
        self._rule_sets = rule_sets

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET",
                "/rules/export",
                Scope.VIEWER,
                self.export,
                bytes,
                ExportFilter,
                content_type=YAML,
                other_content_types=(JSON,),
            ),
            Operation(
                "POST", "/rules/plan", Scope.VIEWER, self.plan, Plan, body=PlanRequest,
                most_body_bytes=MOST_RULE_SET_BYTES,
            ),
            Operation(
                "POST", "/rules/apply", Scope.OPERATOR, self.apply, Plan, body=PlanRequest, problems=(412, 422),
                most_body_bytes=MOST_RULE_SET_BYTES,
            ),
        ]  # fmt: skip

    def export(self, call: Call) -> bytes:
        """The rule set as a document in YAML or JSON that plan and apply read."""
        call.content_type = YAML if call.parameters.format == "yaml" else JSON
        return self._rule_sets.export(call.parameters)

    def plan(self, call: Call) -> Plan:
        """What applying a rule set would change, and which of its examples would fail."""
        return self._rule_sets.plan(call.body)

    def apply(self, call: Call) -> Plan:
        """Makes a document the rule set: everything or nothing, and only when all its examples come out as they say."""
        return self._rule_sets.apply(call.body, call.author(call.body.reason))
