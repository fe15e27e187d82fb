"""What ``make run`` shows once all is up: where to look, and each alert as it reaches the receiver."""

import http.client
import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from load.stack import environment, programs, stack
from load.stack.console import StackError, say, tail
from load.stack.layout import Layout
from mutt.settings import read_env_file

POLL_SECONDS = 0.5
SHOWN_EACH_POLL = 5
FIRST_ALERT_SECONDS = 120.0

SEVERITY_NAMES = ("clear", "indeterminate", "warning", "minor", "major", "critical")
"""Moogsoft's severities, by number."""


def follow(layout: Layout) -> int:
    """Feeds sample syslog and prints alerts until interrupted; 1 when the stack ends by itself."""
    known, _ = read_env_file(layout.dev_env)
    _greet(known)
    _start_feeder(layout, known)
    return _print_alerts(layout, known["MOOG_SINK_URL"])


def _greet(known: Mapping[str, str]) -> None:
    say()
    say(f"  Dashboard   {known['MUTT_ADMIN_URL']}   API key: {known['WEBUI_API_KEY']}")
    say(f"  Ingest      {known['MUTT_INGEST_URL']}/api/v2/ingest   API key: {known['INGEST_API_KEY']}")
    say(f"  Receiver    {known['MOOG_SINK_URL']}/received")
    say()
    say("Sample syslog goes in now. Alerts as the receiver gets them (Ctrl-C stops everything):")
    say()


def _start_feeder(layout: Layout, known: Mapping[str, str]) -> None:
    feeder = stack.feeder_service(layout)
    if feeder.running:
        return
    argv = [str(layout.bin / "python"), "-m", "load.feeder", "--url", known["MUTT_INGEST_URL"]]
    # The key goes through the environment: a command line is for every user of the machine to read.
    environ = {**environment.for_programs(layout, os.environ), "INGEST_API_KEY": known["INGEST_API_KEY"]}
    feeder.start(argv, environ, cwd=layout.root)


def _print_alerts(layout: Layout, receiver: str) -> int:
    seen, started = _received(receiver, -1)["count"], time.monotonic()
    shown_any = False
    while True:
        if not programs.supervisord_service(layout).running:
            say("MUTT has been stopped.")
            return 1
        answer = _received(receiver, seen)
        for alert in answer["alerts"][:SHOWN_EACH_POLL]:
            say(alert_line(alert, _width()))
        if len(answer["alerts"]) > SHOWN_EACH_POLL:
            say(f"          ... and {len(answer['alerts']) - SHOWN_EACH_POLL} more")
        shown_any = shown_any or bool(answer["alerts"])
        seen = answer["count"]
        if not shown_any and time.monotonic() - started > FIRST_ALERT_SECONDS:
            log = stack.feeder_service(layout).log
            raise StackError(f"no alert reached the receiver. The end of {log}:\n{tail(log)}")
        time.sleep(POLL_SECONDS)


def _received(receiver: str, since: int) -> dict[str, Any]:
    """The receiver's count, and its alerts after the first ``since``; none of them for -1."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{receiver}/received?since={since}", timeout=5) as answer:
            received: dict[str, Any] = json.load(answer)
            return received
    except (OSError, http.client.HTTPException):  # Stopped, perhaps; the next look at the programs will tell.
        return {"count": max(since, 0), "alerts": []}


def _width() -> int:
    return shutil.get_terminal_size(fallback=(160, 24)).columns if sys.stdout.isatty() else 160


def alert_line(alert: Mapping[str, Any], width: int) -> str:
    """One line about an alert: time, host, severity, team, description, cut to ``width`` characters."""
    moment = alert.get("agent_time")
    at = (
        datetime.fromtimestamp(moment, UTC).astimezone()
        if isinstance(moment, int | float)
        else datetime.now().astimezone()
    )
    details = alert.get("custom_info")
    team = details.get("team") if isinstance(details, Mapping) else None
    words = [
        at.strftime("%H:%M:%S"),
        _cut(alert.get("source", "?"), 20),
        _cut(_severity(alert.get("severity")), 13),
        _cut(team or alert.get("class", ""), 10),
        str(alert.get("description", "")),
    ]
    line = "  ".join(words)
    # Syslog text is the sender's: what would move the cursor or change colours is not printed.
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= width else line[: width - 1] + "…"


def _cut(value: Any, width: int) -> str:
    return str(value)[:width].ljust(width)


def _severity(value: Any) -> str:
    if isinstance(value, int) and 0 <= value < len(SEVERITY_NAMES):
        return SEVERITY_NAMES[value]
    return str(value)
