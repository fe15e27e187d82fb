"""``mutt-admin top``: queues, rates and the circuit, live."""

import time
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from mutt.admin.shapes.overview import Figures
from mutt.cli.api import Api
from mutt.cli.exits import USAGE, CliError
from mutt.cli.options import pass_api
from mutt.cli.output import (
    data_console,
    make_table,
    output_option,
    show_document,
    show_table,
    shown_duration,
    shown_time,
)

QUEUES = {
    "ingest_queue_depth": "events to judge", "alert_queue_depth": "alerts to forward",
    "retry_alerter_depth": "events that wait for a retry", "retry_moog_depth": "alerts that wait for a retry",
    "dlq_ingest_depth": "dead letters: ingest", "dlq_alerter_depth": "dead letters: alerter",
    "dlq_moog_depth": "dead letters: moog", "poison_depth": "poison",
}  # fmt: skip
DEAD = ("dlq_ingest_depth", "dlq_alerter_depth", "dlq_moog_depth", "poison_depth")
COUNTERS = {"ingest_total": "accepted", "alerter_processed_total": "judged", "moog_forwarded_total": "forwarded"}


@click.command()
@click.option("--once", is_flag=True, help="Show the figures once and end, for scripts.")
@click.option("--every", type=click.FloatRange(0.2), default=2.0, show_default=True, metavar="SECONDS", help="Refresh.")
@output_option
@pass_api
def top(api: Api, once: bool, every: float, output: str) -> None:
    """Show queues, rates, circuit and dead letters, refreshed until Ctrl-C."""
    console = data_console()
    if once or output in ("json", "yaml"):
        figures = api.get("/metrics", Figures)
        if output in ("json", "yaml"):
            show_document(output, figures)
        else:
            _show_once(figures)
        return
    if not console.is_terminal:
        raise CliError("standard output is not a terminal; use --once", USAGE)
    before: Figures | None = None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                shown, before = _frame(api, before, every)
                live.update(shown, refresh=True)
                time.sleep(every)
        except KeyboardInterrupt:
            return


def _show_once(figures: Figures) -> None:
    for place, (headings, rows) in enumerate(_tables(figures, None)):
        if place:
            click.echo()
        show_table(headings, rows)


def _frame(api: Api, before: Figures | None, every: float) -> tuple[RenderableType, Figures | None]:
    """What the screen shows now. While the web UI is away the last figures stay, under a line that says so."""
    try:
        figures = api.get("/metrics", Figures)
    except CliError as error:
        problem = Text(str(error.message), "red")
        return Group(problem, *(_parts(before, None) if before else ())), before
    head = Text(f"MUTT at {api.connection.url}   {_moment(figures)}   every {every:g} s, Ctrl-C ends", "dim")
    return Group(head, *_parts(figures, before)), figures


def _parts(figures: Figures, before: Figures | None) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for headings, rows in _tables(figures, before):
        parts += [Text(""), make_table(headings, rows, (), False, 80)[0]]
    return parts


def _tables(figures: Figures, before: Figures | None) -> list[tuple[list[str], list[list[Any]]]]:
    """Headings and rows of every part."""
    rates = [[window.removeprefix("eps_"), f"{value:.2f}"]
             for window, value in figures.summary.items() if window.startswith("eps_")]  # fmt: skip
    circuit = figures.circuit_breaker
    return [
        (["QUEUE", "DEPTH", "OLDEST"], [_queue(figures, name, title) for name, title in QUEUES.items()]),
        (["EVENTS/S OVER", "RATE"], rates),
        (["SO FAR", "COUNT", "PER SECOND NOW"],
         [[title, figures.counters.get(name, 0), _rate(figures, before, name)] for name, title in COUNTERS.items()]),
        (["CIRCUIT", "FAILURES", "OPEN FOR"],
         [[circuit.get("moog_state"), circuit.get("failures"), _open_for(figures)]]),
    ]  # fmt: skip


def _queue(figures: Figures, name: str, title: str) -> list[Any]:
    depth = figures.queues.get(name, 0)
    style = "red" if name in DEAD and depth else ""
    return [Text(title, style), Text(str(depth), style), shown_duration(figures.age_seconds.get(name))]


def _rate(figures: Figures, before: Figures | None, name: str) -> str:
    if before is None or figures.timestamp <= before.timestamp:
        return "-"
    passed = figures.timestamp - before.timestamp
    return f"{max(0, figures.counters.get(name, 0) - before.counters.get(name, 0)) / passed:.1f}"


def _open_for(figures: Figures) -> str:
    opened_at = figures.circuit_breaker.get("opened_at")
    if opened_at is None or figures.circuit_breaker.get("moog_state") == "CLOSED":
        return "-"
    return shown_duration(max(0.0, figures.timestamp - float(opened_at)))


def _moment(figures: Figures) -> str:
    return shown_time(datetime.fromtimestamp(figures.timestamp, UTC))
