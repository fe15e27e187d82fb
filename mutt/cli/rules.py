"""``mutt-admin rules``: the rules, one by one."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.text import Text

from mutt.admin.shapes.common import Created
from mutt.admin.shapes.rules import Hygiene, Rule, RuleChanged, RuleFinding, RulePage, RuleTestResult
from mutt.cli.api import Api, Message, path_of
from mutt.cli.backtest import backtest
from mutt.cli.exits import USAGE, CliError
from mutt.cli.options import (
    confirm,
    if_match_option,
    limit_option,
    pass_api,
    reason_option,
    say_how_many,
    yes_option,
)
from mutt.cli.output import Column, Listing, output_option, say, show, show_members, show_one, show_table
from mutt.cli.rule_drafts import draft, draft_options, read_document, whole_draft
from mutt.cli.rule_sets import apply, export, plan


def condition(rule: Any) -> str:
    """What the rule matches, on one line."""
    parts = []
    if rule.match_string is not None:
        parts.append(f"/{rule.match_string}/" if rule.match_type == "regex" else f'"{rule.match_string}"')
    if rule.trap_oid is not None:
        parts.append(f"oid {rule.trap_oid}")
    if rule.syslog_severity is not None:
        parts.append(f"severity <= {rule.syslog_severity}")
    return " and ".join(parts)


def _state(rule: Rule) -> Text:
    if rule.problem:
        return Text("unusable", "red")
    return Text("active", "green") if rule.is_active else Text("inactive", "dim")


RULES: Listing[Rule] = Listing(
    (
        Column("ID", lambda rule: rule.id),
        Column("PRIO", lambda rule: rule.priority),
        Column("MATCHES", condition, long=True),
        Column("PROD", lambda rule: rule.prod_handling),
        Column("DEV", lambda rule: rule.dev_handling, wide=True),
        Column("TEAM", lambda rule: rule.team_assignment),
        Column("STATE", _state),
        Column("HITS 24H", lambda rule: rule.hits_24h, wide=True),
        Column("HITS 7D", lambda rule: rule.hits_7d),
        Column("LAST HIT", lambda rule: rule.last_hit, wide=True),
        Column("UPDATED", lambda rule: rule.updated_at, wide=True),
        Column("PROBLEM", lambda rule: rule.problem, wide=True),
    ),
    lambda rule: rule.id,
)

FINDINGS: Listing[RuleFinding] = Listing(
    (
        Column("RULE", lambda finding: finding.rule_id),
        Column("KIND", lambda finding: finding.kind),
        Column("BY", lambda finding: finding.by),
        Column("WHAT", lambda finding: finding.sentence, long=True),
    ),
    lambda finding: finding.rule_id,
    fold=True,
)


@click.group()
def rules() -> None:
    """Rules: what is done with which events."""


for command in (apply, backtest, export, plan):
    rules.add_command(command)


@rules.command("list")
@click.option("--active/--inactive", "is_active", default=None, help="Only active ones, or only inactive ones.")
@click.option("--team", help="Only those of this team.")
@click.option("--match-type", help="Only those of this type.")
@click.option("-q", "--search", metavar="TEXT", help="Text in the condition or the team.")
@limit_option
@output_option
@pass_api
def list_rules(
    api: Api, is_active: bool | None, team: str | None, match_type: str | None, search: str | None, limit: int,
    output: str,
) -> None:  # fmt: skip
    """List rules in the order in which they are tried."""
    entries, total, _ = api.listed(
        "/rules", RulePage, "rules", limit, is_active=is_active, team=team, match_type=match_type, q=search
    )
    show(output, entries, RULES, {"rules": entries, "total": total})
    say_how_many(len(entries), total)


@rules.command("show")
@click.argument("rule_id", type=int)
@output_option
@pass_api
def show_rule(api: Api, rule_id: int, output: str) -> None:
    """Show one rule, with the etag that `update --if-match` takes."""
    rule, etag = api.get_tagged(path_of("rules", rule_id), Rule)
    answer = {**msgspec.structs.asdict(rule), "etag": etag}
    show_one(output, rule.id, answer, answer)


@rules.command()
@draft_options
@click.option("--inactive", is_flag=True, help="Create it, but do not use it yet.")
@reason_option
@output_option
@pass_api
def create(api: Api, file: Path | None, inactive: bool, reason: str | None, output: str, **options: Any) -> None:
    """Create a rule, from options or from a file.

    \b
    mutt-admin rules create --match-string "%LINK-3-UPDOWN" --prod Page_and_ticket --team NETO --priority 800
    """
    fields = whole_draft(draft(file, options)) | ({"is_active": False} if inactive else {})
    answer = api.post("/rules", {**fields, "reason": reason or fields.get("reason")}, Created)
    show_one(output, answer.id, {"id": answer.id, "message": answer.message}, answer)


@rules.command()
@click.argument("rule_id", type=int)
@draft_options
@click.option("--active/--inactive", "is_active", default=None, help="Use it, or do not use it any more.")
@click.option("--unset", multiple=True, type=click.Choice(["match_string", "trap_oid", "syslog_severity"]),
              help="Condition to take away; may be repeated.")  # fmt: skip
@reason_option
@if_match_option
@pass_api
def update(
    api: Api, rule_id: int, file: Path | None, is_active: bool | None, unset: tuple[str, ...], reason: str | None,
    if_match: str | None, **options: Any,
) -> None:  # fmt: skip
    """Change the given fields of a rule; the others stay."""
    changes = draft(file, options) | dict.fromkeys(unset)
    if is_active is not None:
        changes["is_active"] = is_active
    if not changes:
        raise CliError("nothing to change was given; see mutt-admin rules update --help", USAGE)
    say(api.put(path_of("rules", rule_id), {**changes, "reason": reason}, RuleChanged, if_match).message)


@rules.command()
@click.argument("rule_id", type=int)
@reason_option
@if_match_option
@yes_option
@pass_api
def delete(api: Api, rule_id: int, reason: str | None, if_match: str | None, yes: bool) -> None:
    """Take a rule out of use. Its row stays, so that the audit can name it; `update --active` brings it back."""
    rule, etag = api.get_tagged(path_of("rules", rule_id), Rule)
    confirm(f"Take rule {rule_id} out of use ({condition(rule)}, {rule.prod_handling}, {rule.team_assignment})?", yes)
    say(api.delete(path_of("rules", rule_id), Message, if_match or etag, reason=reason).message)


@rules.command("test")
@click.option("--event", "event_file", type=click.Path(allow_dash=True, exists=True, dir_okay=False, path_type=Path),
              help="YAML or JSON document of the event, as a source would send it.")  # fmt: skip
@click.option("--message", help="Message of the event.")
@click.option("--hostname", help="Host of the event.")
@click.option("--event-severity", type=click.IntRange(0, 7), help="Syslog severity of the event.")
@click.option("--event-oid", help="Trap OID of the event.")
@click.option("--rule-id", type=int, help="Try the given draft in place of this rule.")
@draft_options
@output_option
@pass_api
def test_rules(
    api: Api, event_file: Path | None, message: str | None, hostname: str | None, event_severity: int | None,
    event_oid: str | None, rule_id: int | None, file: Path | None, output: str, **options: Any,
) -> None:  # fmt: skip
    """Show what the appliance would do with an event, and why; with a draft of a rule: what it would do then.

    \b
    mutt-admin rules test --message "%LINK-3-UPDOWN: Interface Gi0/1 down" --hostname core1
    """
    given = {"message": message, "hostname": hostname, "syslog_severity": event_severity, "trap_oid": event_oid}
    event = read_document(event_file) if event_file else {}
    if not isinstance(event, dict):
        raise CliError(f"{event_file} must hold one event: a mapping of its fields", USAGE)
    event |= {name: value for name, value in given.items() if value is not None}
    if not event.get("message"):
        raise CliError("say --message or --event FILE", USAGE)
    fields = draft(file, options)
    event = {"timestamp": datetime.now(UTC).isoformat(), "hostname": "test", **event}
    body = {"event": event, "rule": whole_draft(fields) if fields else None, "rule_id": rule_id}
    result = api.post("/rules/test", {name: value for name, value in body.items() if value is not None}, RuleTestResult)
    if output in ("table", "wide"):
        _show_test(result)
    else:
        show_one(output, result.rule_id or "none", {}, result)


def _show_test(result: RuleTestResult) -> None:
    decision = result.decision
    show_members(
        {
            "decided by": {None: "no rule", 0: "the draft"}.get(result.rule_id, f"rule {result.rule_id}"),
            "handling": decision.handling,
            "team": decision.team,
            "environment": decision.environment,
            "to Moogsoft": decision.forward,
            "counted as unhandled": decision.unhandled_pattern,
        }
    )
    if result.trace:
        say("")
        show_table(
            ["RULE", "MATCHED", "WHY"],
            [[tried.rule_id or "draft", tried.matched, tried.why] for tried in result.trace],
            ["WHY"],
            fold=True,
        )


@rules.command()
@click.option("--days", type=click.IntRange(1, 30), default=30, show_default=True, help="Unused for so long.")
@output_option
@pass_api
def hygiene(api: Api, days: int, output: str) -> None:
    """List rules that are shadowed, unused, unusable or there twice."""
    found = api.get("/rules/hygiene", Hygiene, days=days)
    show(output, found.findings, FINDINGS, found)
    if not found.findings:
        say("no rule is shadowed, unused, unusable or there twice")
