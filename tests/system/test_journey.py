"""The journey of an event through the real appliance, as the admin API tells it."""

from typing import Any

import requests

from tests.support import syslog
from tests.support.appliance import WEBUI_KEY, Appliance
from tests.support.waiting import wait_until


def journey(appliance: Appliance, correlation_id: str) -> dict[str, Any]:
    answer = requests.get(
        f"{appliance.admin_url}/api/v2/events/{correlation_id}", headers={"X-API-KEY": WEBUI_KEY}, timeout=10
    )
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["journeys"]
    return dict(found)


def test_events_that_are_delivered_refused_and_logged(appliance: Appliance) -> None:
    paging, quiet = syslog.event("CRITICAL: fan 1 failed"), syslog.event("session opened")
    appliance.post([paging, quiet])
    appliance.wait_until_idle()
    delivered = journey(appliance, paging["correlation_id"])
    assert [hop["name"] for hop in delivered["hops"]] == ["received", "decided", "queued", "delivered"]
    assert delivered["state"] == "settled"
    assert journey(appliance, quiet["correlation_id"])["state"] == "decided"

    appliance.behave(status=400)
    refused = syslog.event("CRITICAL: fan 2 failed")
    appliance.post(refused)
    dead = wait_until(
        lambda: next(
            (found for found in [_known(appliance, refused)] if found and found["state"] == "dead_letter"), None
        ),
        "the dead letter",
        seconds=30,
    )
    names = [hop["name"] for hop in dead["hops"]]
    assert names[:4] == ["received", "decided", "queued", "attempt"]
    assert dead["deliveries"][0]["outcome"] == "dead_letter"


def _known(appliance: Appliance, event: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return journey(appliance, event["correlation_id"])
    except AssertionError:
        return None
