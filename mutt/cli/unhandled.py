"""``mutt-admin unhandled``: what no rule matched, by pattern."""

from pathlib import Path
from typing import Any

import click
import msgspec

from mutt.admin.shapes.common import Created
from mutt.admin.shapes.unhandled import IgnoredPattern, UnhandledPage, UnhandledPattern
from mutt.cli.api import Api, path_of
from mutt.cli.exits import CliError
from mutt.cli.options import confirm, limit_option, pass_api, reason_option, say_how_many, yes_option
from mutt.cli.output import Column, Listing, output_option, say, show, show_document, show_members, show_one
from mutt.cli.rule_drafts import draft, draft_options, whole_draft

PATTERNS: Listing[UnhandledPattern] = Listing(
    (
        Column("ID", lambda pattern: pattern.id),
        Column("COUNT", lambda pattern: pattern.count),
        Column("SOURCE", lambda pattern: pattern.source),
        Column("PATTERN", lambda pattern: pattern.pattern, long=True),
        Column("LAST SEEN", lambda pattern: pattern.last_seen),
        Column("FIRST SEEN", lambda pattern: pattern.first_seen, wide=True),
        Column("HOSTS", lambda pattern: pattern.hosts, wide=True),
        Column("META-ALERT", lambda pattern: pattern.alerted, wide=True),
        Column("IGNORED", lambda pattern: pattern.ignored, wide=True),
    ),
    lambda pattern: pattern.id,
)


@click.group()
def unhandled() -> None:
    """Events that no rule matched, counted by pattern."""


@unhandled.command("list")
@click.option("-q", "--search", metavar="TEXT", help="Text in the pattern.")
@click.option("--ignored", is_flag=True, help="Those that are ignored, too.")
@limit_option
@output_option
@pass_api
def list_patterns(api: Api, search: str | None, ignored: bool, limit: int, output: str) -> None:
    """List the patterns, the most frequent first."""
    entries, total, page = api.listed("/unhandled", UnhandledPage, "patterns", limit, q=search, ignored=ignored)
    answer = {"patterns": entries, "total": total, "other": page.other, "threshold": page.threshold}
    show(output, entries, PATTERNS, answer)
    if page.other:
        say(f"{page.other} events belong to patterns beyond the 10,000 that are told apart")
    say_how_many(len(entries), total)


@unhandled.command("show")
@click.argument("pattern_id")
@output_option
@pass_api
def show_pattern(api: Api, pattern_id: str, output: str) -> None:
    """Show a pattern with samples, hosts and a suggestion for a rule."""
    pattern = api.get(path_of("unhandled", pattern_id), UnhandledPattern)
    members = {name: getattr(pattern, name) for name in pattern.__struct_fields__ if name != "suggestion"}
    members["samples"] = "\n".join(pattern.samples) or None
    show_one(output, pattern.id, members, pattern)
    if output in ("table", "wide") and pattern.suggestion:
        say("suggested rule (mutt-admin unhandled make-rule creates it):")
        show_document("yaml", _fields(pattern))


@unhandled.command()
@click.argument("pattern_id")
@click.option("--stop", is_flag=True, help="Do not ignore it any more.")
@reason_option
@pass_api
def ignore(api: Api, pattern_id: str, stop: bool, reason: str | None) -> None:
    """Have a pattern raise no meta-alert and not be listed; it is still counted and audited."""
    body = {"ignored": not stop, "reason": reason}
    say(api.put(path_of("unhandled", pattern_id, "ignore"), body, IgnoredPattern).message)


@unhandled.command("make-rule")
@click.argument("pattern_id")
@draft_options
@click.option("--dry-run", is_flag=True, help="Only print the draft, which `rules create --file -` reads.")
@reason_option
@yes_option
@pass_api
def make_rule(
    api: Api, pattern_id: str, file: Path | None, dry_run: bool, reason: str | None, yes: bool, **options: Any
) -> None:
    """Create a rule for a pattern: the suggested one, changed by the options."""
    pattern = api.get(path_of("unhandled", pattern_id), UnhandledPattern)
    if pattern.suggestion is None:
        raise CliError(f"there is no suggestion for the pattern {pattern_id}; use mutt-admin rules create")
    fields = whole_draft(_fields(pattern) | draft(file, options))
    if dry_run:
        show_document("yaml", fields)
        return
    show_members(fields)
    confirm("Create this rule?", yes)
    created = api.post("/rules", {**fields, "reason": reason or f"unhandled pattern {pattern_id}"}, Created)
    say(f"{created.message} (id {created.id})")


def _fields(pattern: UnhandledPattern) -> dict[str, Any]:
    suggested: dict[str, Any] = msgspec.to_builtins(pattern.suggestion)
    return {name: value for name, value in suggested.items() if value is not None and name != "is_active"}
