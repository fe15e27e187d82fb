"""Dynamic settings, service levels and the diagnosis with all five programs running."""

import re
from typing import Any

import requests

from tests.support.appliance import PROGRAMS, WEBUI_KEY, Appliance
from tests.support.syslog import event
from tests.support.waiting import wait_until


def call(appliance: Appliance, method: str, path: str, body: Any = None) -> Any:
    answer = requests.request(
        method, f"{appliance.admin_url}/api/v2{path}", json=body, headers={"X-API-KEY": WEBUI_KEY}, timeout=10
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def changes_seen(appliance: Appliance, program: str, value: str) -> int:
    """Lines in which a process of the program says that it follows the new log level."""
    pattern = rf"dynamic setting changed.*key=log_level.*value={re.escape(value)}"
    return len(re.findall(pattern, appliance.log(program)))


def test_every_running_program_follows_a_change_within_two_seconds(appliance: Appliance) -> None:
    before = {program: changes_seen(appliance, program, "DEBUG") for program in PROGRAMS}
    call(appliance, "PUT", "/config/log_level", {"value": "DEBUG"})

    def followed() -> bool:
        return all(changes_seen(appliance, program, "DEBUG") > before[program] for program in PROGRAMS)

    wait_until(followed, "all programs to follow", seconds=2)
    call(appliance, "DELETE", "/config/log_level")


def test_service_levels_count_requests_to_both_ends(appliance: Appliance) -> None:
    for _ in range(3):
        assert appliance.post(event("CRITICAL: the core is on fire")).status_code == 202
    assert appliance.post({"message": "no host, no time"}).status_code == 400
    wait_until(lambda: len(appliance.received()) == 3, "the alerts")

    def counted() -> bool:
        components = call(appliance, "GET", "/slo")["components"]
        return bool(components["ingestor"]["total"] >= 4 and components["forwarder"]["total"] >= 1)

    wait_until(counted, "the counts", seconds=20, every=0.5)
    components = call(appliance, "GET", "/slo")["components"]
    assert components["ingestor"]["availability"] < 1
    assert components["forwarder"]["availability"] == 1


def test_the_diagnosis_of_a_running_stack_finds_its_programs_well(appliance: Appliance) -> None:
    findings = call(appliance, "GET", "/doctor")["findings"]
    assert [each for each in findings if each["state"] == "failed"] == []
    assert {each["check"] for each in findings if each["state"] == "ok"} >= {*PROGRAMS, "schema", "webhook", "circuit"}
