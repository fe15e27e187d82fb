"""Events the way rsyslog's omhttp sends them, made of real device lines where they are at hand."""

import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LINES = Path(__file__).parents[3] / "shared" / "data" / "network_syslog.ndjson"


def device_lines() -> list[dict[str, Any]]:
    """Real lines with their syslog severity (``raw``, ``pri_severity``); a few of our own where there is no data."""
    if LINES.exists():
        return [json.loads(line) for line in LINES.read_text(encoding="utf-8").splitlines()]
    own = (
        (3, "<187>Nov 20 20:29:01 edge1 : %LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down"),
        (5, "<189>Nov 20 20:29:01 edge1 : %SYS-5-CONFIG_I: Configured from console by vty0 (192.0.2.7)"),
        (2, "<186>Nov 20 20:29:01 core1 rpd[2902]: CRITICAL: power supply 1 failed"),
        (6, "<190>Nov 20 20:29:01 web1 sshd[991]: Accepted publickey for root from 192.0.2.9 port 5022"),
    )
    return [{"raw": raw, "pri_severity": severity, "vendor": "own"} for severity, raw in own]


def event(message: str, **fields: Any) -> dict[str, Any]:
    """One event as a source sends it."""
    return {
        "timestamp": datetime.now(UTC).isoformat(),
        "hostname": "edge1",
        "message": message,
        "source": "syslog",
        "correlation_id": str(uuid.uuid4()),
        **fields,
    }


def rendered(number: int, text_severity: bool) -> list[dict[str, Any]]:
    """``number`` events of real lines, severities as omhttp's template gives them: a string unless told otherwise."""
    lines, events = device_lines(), []
    for index in range(number):
        line = lines[index % len(lines)]
        severity = line["pri_severity"] if line["pri_severity"] is not None else 6
        message = re.sub(r"^<\d+>", "", line["raw"])
        events.append(
            event(
                message,
                hostname=f"{line['vendor']}-{index % 7}",
                syslog_severity=str(severity) if text_severity else severity,
            )
        )
    return events


def as_jsonarray(events: list[dict[str, Any]]) -> bytes:
    return json.dumps(events).encode()


def as_newline(events: list[dict[str, Any]]) -> bytes:
    """rsyslog puts a blank line between the records."""
    return b"\n\n".join(json.dumps(each).encode() for each in events) + b"\n"
