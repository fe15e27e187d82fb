"""``mutt-admin rules export``, ``plan`` and ``apply``: rules as code."""

from pathlib import Path
from typing import Any

import click

from mutt.admin.shapes.rules import Plan
from mutt.cli.api import Api
from mutt.cli.exits import CHANGES, USAGE, CliError
from mutt.cli.options import confirm, pass_api, reason_option, yes_option
from mutt.cli.output import output_option, say, show_document, show_table
from mutt.cli.rule_drafts import read_document

SIGNS = {"create": "+", "update": "~", "delete": "-"}

file_argument = click.argument("file", type=click.Path(allow_dash=True, exists=True, dir_okay=False, path_type=Path))
prune_option = click.option("--prune", is_flag=True, help="Take active rules out of use that the file does not name.")


@click.command()
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Form.")
@click.option("--inactive", is_flag=True, help="Rules out of use too.")
@click.option("-f", "--file", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@pass_api
def export(api: Api, output: str, inactive: bool, file: Path | None) -> None:
    """Write all rules as a document that `plan` and `apply` read."""
    document = api.content("/rules/export", format=output, include_inactive=inactive)
    if file is None:
        click.echo(document, nl=not document.endswith(b"\n"))
        return
    file.write_bytes(document)
    say(f"written to {file}")


@click.command()
@file_argument
@prune_option
@output_option
@click.pass_context
@pass_api
def plan(api: Api, ctx: click.Context, file: Path, prune: bool, output: str) -> None:
    """Show what `apply` would change; ends with exit code 3 when that is something, 1 when an example fails."""
    planned = api.post("/rules/plan", _request(file, prune), Plan)
    _show(planned, output)
    _judge(planned)
    if planned.changes:
        ctx.exit(CHANGES)


@click.command()
@file_argument
@prune_option
@reason_option
@click.option("--dry-run", is_flag=True, help="Only let the appliance work out the changes, as `plan` does.")
@yes_option
@output_option
@click.pass_context
@pass_api
def apply(
    api: Api, ctx: click.Context, file: Path, prune: bool, reason: str | None, dry_run: bool, yes: bool, output: str
) -> None:
    """Make the rules those of the file, all at once or not at all.

    What is applied is the plan that was shown: when somebody changes the rules in between, the exit code is 5.
    """
    request = _request(file, prune)
    planned = api.post("/rules/plan", request, Plan)
    if not planned.changes or dry_run or planned.failed_examples:
        _show(planned, output)
        _judge(planned)
        ctx.exit(CHANGES if planned.changes else 0)
    if output == "table":
        _show(planned, output)
    confirm(f"Apply {_count(planned)}?", yes)
    applied = api.post("/rules/apply", {**request, "plan_etag": planned.plan_etag, "reason": reason}, Plan)
    if output != "table":
        _show(applied, output)
    say(f"applied: {_count(applied)}")


def _request(file: Path, prune: bool) -> dict[str, Any]:
    document = read_document(file)
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        raise CliError(f"{file} is not a rule set: it needs a list `rules`, as `mutt-admin rules export` writes", USAGE)
    return {**document, "prune": prune}


def _show(planned: Plan, output: str) -> None:
    if output in ("json", "yaml"):
        show_document(output, planned)
    elif output == "name":
        for change in planned.changes:
            click.echo(f"{change.action} {change.rule_id or 'new'}")
    elif planned.changes:
        rows = [
            [SIGNS[change.action], change.action, change.rule_id, change.summary, _fields(change)]
            for change in planned.changes
        ]
        show_table(["", "ACTION", "RULE", "WHAT", "CHANGES"], rows, ["WHAT", "CHANGES"] if output == "table" else [])
    say(_count(planned))


def _fields(change: Any) -> str:
    if change.action != "update":
        return ""
    return ", ".join(f"{each.field}: {each.old} -> {each.new}" for each in change.changes)


def _count(planned: Plan) -> str:
    return (
        f"{planned.creates} to create, {planned.updates} to update, {planned.deletes} to take out of use, "
        f"{planned.unchanged} unchanged"
    )


def _judge(planned: Plan) -> None:
    """Raises CliError when an example inside the file does not come out as it says."""
    if planned.failed_examples:
        sentences = [
            f"rules[{each.index}].examples[{each.example}]: {each.sentence}" for each in planned.failed_examples
        ]
        raise CliError("examples fail:\n  " + "\n  ".join(sentences))
