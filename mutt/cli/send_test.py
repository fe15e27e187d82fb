"""``mutt-admin send-test``: one event from the ingest URL to the webhook, with the time of every hop."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
import requests

from mutt.admin.shapes.events import EventJourney, Journeys
from mutt.cli.api import Api, path_of
from mutt.cli.connection import read_key
from mutt.cli.exits import AUTH, FAILED, CliError
from mutt.cli.failures import ApiError, Problem
from mutt.cli.journey import show_hops
from mutt.cli.options import Session
from mutt.cli.output import output_option, say, show_document, shown_duration

LOOK_SECONDS = 0.25
UNDER_WAY = ("waiting", "retrying", "unknown")


@click.command("send-test")
@click.option("--message", default="MUTT test event", show_default=True, help="Its message.")
@click.option("--hostname", default="mutt-send-test", show_default=True, help="Host it is about.")
@click.option("--severity", type=click.IntRange(0, 7), default=6, show_default=True, help="Syslog severity.")
@click.option("--source", default="mutt-admin", show_default=True, help="Source.")
@click.option(
    "--wait", type=click.FloatRange(0.1), default=30, show_default=True, metavar="SECONDS", help="Follow it so long."
)
@click.option("--ingest-url", help="Ingestor; by default the one beside the web UI.")
@click.option("--ingest-key-file", metavar="FILE", help="File with the ingest API key; - reads it from standard input.")
@output_option
@click.pass_obj
def send_test(
    session: Session, message: str, hostname: str, severity: int, source: str, wait: float, ingest_url: str | None,
    ingest_key_file: str | None, output: str,
) -> None:  # fmt: skip
    """Send one event and follow it to the webhook; ends with exit code 1 and its last known place when it gets stuck.

    The ingest key is that of INGEST_API_KEY, of ingest_api_key_file in admin.toml, or of this host's secrets file.
    An event that no rule forwards ends in the audit log: give --message one that a rule matches to test the webhook.
    """
    connection = session.connection
    key = read_key(ingest_key_file, "--ingest-key-file") if ingest_key_file else connection.ingest_key
    if key is None:
        raise CliError("no ingest key was found; set INGEST_API_KEY or give --ingest-key-file", AUTH)
    correlation_id = str(uuid.uuid4())
    event = {"timestamp": datetime.now(UTC).isoformat(), "hostname": hostname, "message": message,
             "syslog_severity": severity, "source": source, "correlation_id": correlation_id}  # fmt: skip
    url = (ingest_url or connection.ingest_url).rstrip("/")
    started = time.monotonic()
    _post(url, key, event, session)
    say(f"accepted by {url} after {shown_duration(time.monotonic() - started)}: {correlation_id}")
    journey = _follow(session.api, correlation_id, started + wait)
    _report(journey, correlation_id, output)
    say(f"{shown_duration(time.monotonic() - started)} in all")
    _judge(journey, wait)


def _post(url: str, key: str, event: dict[str, Any], session: Session) -> None:
    """Sends the event. Raises CliError with what the ingestor said."""
    try:
        answer = requests.post(
            f"{url}/api/v2/ingest", json=event, headers={"X-API-KEY": key}, timeout=session.connection.timeout_seconds,
            verify=session.connection.ca_file or True, allow_redirects=False,
        )  # fmt: skip
    except requests.RequestException as error:
        raise CliError(
            f"cannot reach the ingestor at {url}: {error}. --ingest-url or MUTT_INGEST_URL name another one"
        ) from error
    if answer.status_code == 202:
        return
    try:
        sentence = msgspec.json.decode(answer.content, type=Problem).detail
    except msgspec.MsgspecError:
        sentence = ""
    raise CliError(
        f"the ingestor at {url} answered {answer.status_code}: {sentence or answer.reason}",
        AUTH if answer.status_code in (401, 403) else FAILED,
    )


def _follow(api: Api, correlation_id: str, deadline: float) -> EventJourney | None:
    """The journey as soon as it is at its end, or as far as it has come at the deadline."""
    journey: EventJourney | None = None
    while True:
        try:
            journeys = api.get(path_of("events", correlation_id), Journeys).journeys
            journey = journeys[0] if journeys else journey
        except ApiError as error:
            if error.status not in (404, 503):  # Nothing is known of it yet, or something is away for a moment.
                raise
        if (journey and journey.state not in UNDER_WAY) or time.monotonic() > deadline:
            return journey
        time.sleep(LOOK_SECONDS)


def _report(journey: EventJourney | None, correlation_id: str, output: str) -> None:
    if output in ("json", "yaml"):
        show_document(output, journey)
    elif output == "name":
        click.echo(correlation_id)
    elif journey:
        show_hops(journey.hops, wide=output == "wide")


def _judge(journey: EventJourney | None, wait: float) -> None:
    """Raises CliError unless the event came to where its rule sends it."""
    if journey is None:
        raise CliError(
            f"nothing is known of the event after {wait:g} s: it is still in the ingest queue, or the alerter is down; "
            "`mutt-admin top` and `mutt-admin doctor` say more"
        )
    if journey.state in UNDER_WAY:
        last = journey.hops[-1].sentence if journey.hops else "accepted"
        raise CliError(f"not at its end after {wait:g} s; the last known place: {last} ({journey.sentence})")
    if journey.state == "dead_letter":
        raise CliError(f"it is a dead letter: {journey.sentence}; `mutt-admin dlq lists` shows them")
    say(journey.sentence)
    if journey.state == "decided":
        say("no rule forwards this event, so the webhook was not tried; give --message one that a rule matches")
