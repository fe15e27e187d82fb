"""``mutt-admin rules backtest``: what a rule would have done with the events of the audit log."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mutt.admin.shapes.rules import BacktestProgress
from mutt.cli.api import Api
from mutt.cli.exits import USAGE, CliError
from mutt.cli.options import as_parameter, pass_api, since_option, until_option
from mutt.cli.output import output_option, say, show_members, show_one, show_table, shown_duration, talk_console
from mutt.cli.rule_drafts import draft, draft_options, read_document, whole_draft

GROUPS = {
    "newly_page": "would page now", "stop_paging": "would not page any more",
    "newly_forward": "would go to Moogsoft now", "stop_forwarding": "would not go to Moogsoft any more",
    "change_team": "would go to another team", "change_handling": "would be handled otherwise",
}  # fmt: skip


@click.command()
@since_option("24h")
@until_option("now")
@click.option("--rule-id", type=int, help="Try the draft in place of this rule, or with --remove try without it.")
@click.option("--remove", is_flag=True, help="Try what would happen without the rule of --rule-id.")
@click.option("--rule-set", type=click.Path(allow_dash=True, exists=True, dir_okay=False, path_type=Path),
              help="Try this rule set, as `export` writes it, in place of all rules.")  # fmt: skip
@click.option("--most-events", type=click.IntRange(1, 5_000_000), default=1_000_000, show_default=True,
              help="Judge at most so many, the newest ones.")  # fmt: skip
@click.option("--samples", type=click.IntRange(0, 50), default=5, show_default=True, help="Samples for each effect.")
@draft_options
@output_option
@pass_api
def backtest(
    api: Api, since: datetime, until: datetime, rule_id: int | None, remove: bool, rule_set: Path | None,
    most_events: int, samples: int, file: Path | None, output: str, **options: Any,
) -> None:  # fmt: skip
    """Try a rule, its removal or a whole rule set on past events.

    \b
    mutt-admin rules backtest --since 7d --match-string "BGP" --prod Page_and_ticket --team NETO
    mutt-admin rules backtest --since 24h --rule-id 7 --remove
    """
    request: dict[str, Any] = {"start": as_parameter(since), "end": as_parameter(until), "samples": samples}
    request |= {"most_events": most_events} | _trial(rule_id, remove, rule_set, draft(file, options))
    result = _last(api.stream("/rules/backtest", request, BacktestProgress))
    if output in ("table", "wide"):
        _show(result)
    else:
        show_one(output, result.events, {}, result)


def _trial(rule_id: int | None, remove: bool, rule_set: Path | None, fields: dict[str, Any]) -> dict[str, Any]:
    """What is tried, as the API wants it. Raises CliError when that is nothing or two things."""
    if rule_set:
        document = read_document(rule_set)
        if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
            raise CliError(f"{rule_set} is not a rule set: it needs a list `rules`", USAGE)
        drafted = ({name: value for name, value in rule.items() if name not in ("id", "examples")}
                   for rule in document["rules"])  # fmt: skip
        return {"rules": list(drafted)}
    if remove and rule_id:
        return {"rule_id": rule_id, "remove": True}
    if not fields:
        raise CliError("say what to try: fields of a rule, --rule-id with --remove, or --rule-set FILE", USAGE)
    return {"rule": whole_draft(fields)} | ({"rule_id": rule_id} if rule_id else {})


def _last(stream: Iterator[BacktestProgress]) -> BacktestProgress:
    """The whole result. On the way there the bar on standard error moves, if somebody can see it."""
    console = talk_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    result: BacktestProgress | None = None
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("events", total=None)
        for result in stream:
            bar.update(task, completed=result.events, total=result.of)
    if result is None or not result.done:
        raise CliError("the backtest broke off before its end; the log of mutt-webui says why")
    return result


def _show(result: BacktestProgress) -> None:
    show_members(
        {
            "events": f"{result.events} in {shown_duration(result.seconds)}",
            "unchanged": result.unchanged,
            "decided by the draft": result.matched,
            "pages": f"{result.pages_now} -> {result.pages_then}",
            "to Moogsoft": f"{result.forwards_now} -> {result.forwards_then}",
        }
        | {meaning: getattr(result, name).count for name, meaning in GROUPS.items()}
    )
    rows = [
        [
            name,
            sample.event_timestamp,
            sample.hostname,
            f"{sample.handling_now} -> {sample.handling_then}",
            sample.message,
        ]
        for name in GROUPS
        for sample in getattr(result, name).samples
    ]
    if rows:
        say("")
        show_table(["EFFECT", "TIME", "HOST", "HANDLING", "MESSAGE"], rows, ["MESSAGE"])
    if result.cut_short:
        say("there were more events; the newest were judged (--most-events)")
