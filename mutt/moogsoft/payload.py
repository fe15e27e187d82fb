"""What Moogsoft is sent: alerts in the shape of its Enterprise webhook or of its Cloud events API."""

from typing import Any

import msgspec
from msgspec import UnsetType

from mutt.events.alert import Alert

INDETERMINATE = 1
MOOG_SEVERITY = {0: 5, 1: 5, 2: 4, 3: 3, 4: 2, 5: 1, 6: 1, 7: 1}
"""Syslog's severity to Moogsoft's, which runs the other way. 0 would be "clear" and is only for recoveries."""

_WORDS = {5: "critical", 4: "major", 3: "minor", 2: "warning", 1: "unknown"}
"""The Cloud events API takes words; its word for indeterminate is unknown."""

MANAGER = "MUTT"
DESCRIPTION_LIMIT = 8192
"""Characters; what a person reads on a phone. The whole message is in the audit log."""


def severity(alert: Alert) -> int:
    """Moogsoft's severity, 1 (indeterminate) to 5 (critical)."""
    return INDETERMINATE if alert.syslog_severity is None else MOOG_SEVERITY.get(alert.syslog_severity, INDETERMINATE)


def enterprise(alert: Alert) -> dict[str, Any]:
    """The alert as an event of the Enterprise webhook LAM."""
    return {
        "signature": alert.signature,
        "source_id": alert.hostname,
        "external_id": alert.correlation_id,
        "manager": MANAGER,
        "source": alert.hostname,
        "class": alert.team_assignment,
        "agent": MANAGER,
        "agent_location": alert.hostname,
        "type": alert.trap_oid or alert.source or "syslog",
        "severity": severity(alert),
        "description": alert.message[:DESCRIPTION_LIMIT],
        "agent_time": int(alert.timestamp.timestamp()),
        "custom_info": custom_info(alert),
    }


def cloud(alert: Alert) -> dict[str, Any]:
    """The alert as an event of the Cloud events API."""
    return {
        "source": alert.hostname,
        "check": alert.trap_oid or alert.source or "syslog",
        "class": alert.team_assignment,
        "manager": MANAGER,
        "severity": _WORDS[severity(alert)],
        "description": alert.message[:DESCRIPTION_LIMIT],
        "time": int(alert.timestamp.timestamp()),
        "dedupe_key": alert.signature,
        "external_id": alert.correlation_id,
        "tags": custom_info(alert),
    }


def shape(alert: Alert, payload_format: str) -> dict[str, Any]:
    """The alert in the format that MOOG_FORMAT names."""
    return cloud(alert) if payload_format == "cloud" else enterprise(alert)


def custom_info(alert: Alert) -> dict[str, Any]:
    """What helps the person who was woken to find out why."""
    info: dict[str, Any] = {
        "correlation_id": alert.correlation_id,
        "event_id": alert.event_id,
        "rule_id": alert.rule_id,
        "handling": alert.handling,
        "team_assignment": alert.team_assignment,
        "environment": alert.environment,
        "syslog_severity": alert.syslog_severity,
        "trap_oid": alert.trap_oid,
    }
    if not isinstance(alert.attributes, UnsetType):
        info["attributes"] = alert.attributes
    if not isinstance(alert.unhandled, UnsetType):
        info["unhandled"] = alert.unhandled
    return info


def encode(alerts: list[Alert], payload_format: str, auth_token: str | None = None) -> bytes:
    """The body of one request. ``auth_token`` goes into the envelope of the enterprise format when given."""
    shaped = [shape(alert, payload_format) for alert in alerts]
    if payload_format == "cloud":
        return msgspec.json.encode(shaped)
    envelope: dict[str, Any] = {"events": shaped}
    if auth_token is not None:
        envelope["auth_token"] = auth_token
    return msgspec.json.encode(envelope)
