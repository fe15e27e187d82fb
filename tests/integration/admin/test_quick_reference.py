"""Every endpoint of the quick reference, under both versions, with the answer that is documented for it."""

from typing import Any

import pytest

from tests.support.web_ui import WebUIUnderTest

RULE = {
    "match_string": "CRITICAL", "trap_oid": None, "syslog_severity": None, "match_type": "contains", "priority": 10,
    "prod_handling": "Page_and_ticket", "dev_handling": "Ticket_only", "team_assignment": "NETO", "is_active": True,
}  # fmt: skip
HOST = {"hostname": "lab-1", "description": "a test bench"}
TEAM = {"hostname": "core-1", "team_assignment": "BACKBONE"}

ENDPOINTS: list[tuple[str, str, Any, int, set[str]]] = [
    ("GET", "/metrics", None, 200, {"summary", "chart_24h", "counters", "queues", "circuit_breaker", "timestamp"}),
    ("GET", "/slo", None, 200, {"window_hours", "components", "overall_compliant", "timestamp"}),
    ("GET", "/rules", None, 200, {"rules", "total", "page", "limit"}),
    ("POST", "/rules", RULE, 201, {"id", "message"}),
    ("GET", "/rules/1", None, 200, {"id", *RULE, "created_at", "updated_at"}),
    ("PUT", "/rules/1", {"priority": 500, "reason": "noisy"}, 200, {"message"}),
    ("DELETE", "/rules/1", None, 200, {"message"}),
    ("GET", "/audit-logs", None, 200, {"logs", "total", "page", "limit"}),
    ("GET", "/config-audit", None, 200, {"logs", "total", "page", "limit"}),
    ("GET", "/dev-hosts", None, 200, {"hosts", "total", "page", "limit"}),
    ("POST", "/dev-hosts", HOST, 201, {"id", "message"}),
    ("DELETE", "/dev-hosts/lab-1", None, 200, {"message"}),
    ("GET", "/teams", None, 200, {"teams", "total", "page", "limit"}),
    ("POST", "/teams", TEAM, 201, {"id", "message"}),
    ("PUT", "/teams/core-1", {"team_assignment": "CORE"}, 200, {"hostname", "team_assignment"}),
    ("DELETE", "/teams/core-1", None, 200, {"message"}),
]


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_the_documented_answers_in_the_order_of_a_days_work(web_ui: WebUIUnderTest, version: str) -> None:
    for method, path, body, status, members in ENDPOINTS:
        answer = web_ui.call(method, f"/api/{version}{path}", body)
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        assert members <= set(answer.json), f"{method} {path}"


def test_every_operation_needs_a_key(web_ui: WebUIUnderTest) -> None:
    for method, path, body, _, _ in ENDPOINTS:
        assert web_ui.call(method, path, body, key="").status_code == 401, f"{method} {path}"


def test_both_versions_have_the_same_operations(web_ui: WebUIUnderTest) -> None:
    paths = web_ui.client.simulate_get("/api/openapi.json").json["paths"]
    by_version: dict[str, dict[str, set[str]]] = {"v1": {}, "v2": {}}
    for path, methods in paths.items():
        _, _, version, rest = path.split("/", 3)
        by_version[version][rest] = set(methods)
    assert by_version["v1"] == by_version["v2"]


@pytest.mark.parametrize("component", ["ingestor", "forwarder"])
def test_the_service_levels_have_the_shape_of_the_readme(web_ui: WebUIUnderTest, component: str) -> None:
    level = web_ui.call("GET", "/slo").json["components"][component]
    members = {"target", "availability", "error_budget_remaining", "burn_rate", "state", "window_hours"}
    assert members <= set(level)


def test_the_dashboard_and_what_needs_no_key(web_ui: WebUIUnderTest) -> None:
    assert web_ui.client.simulate_get("/").status_code == 401
    assert web_ui.client.simulate_get("/health").json["service"] == "mutt-webui"
    assert web_ui.client.simulate_get("/metrics").status_code == 200
