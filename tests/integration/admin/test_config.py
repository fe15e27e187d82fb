"""The dynamic settings over the API: typed, audited, followed, and honest about what is not used."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import falcon.testing
import pytest
from prometheus_client import CollectorRegistry

from mutt import settings
from mutt.ingest.app import create_app as create_ingestor
from mutt.redisdb import keys
from mutt.redisdb.dynamic_config import DYNAMIC_KEYS, DynamicConfig
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until
from tests.support.web_ui import ADMIN, OPERATOR, VIEWER, WebUIUnderTest


def setting(web_ui: WebUIUnderTest, key: str) -> dict[str, Any]:
    answer = web_ui.call("GET", f"/config/{key}", key=VIEWER)
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


def audit_rows(web_ui: WebUIUnderTest) -> list[tuple[Any, ...]]:
    return web_ui.query(
        "SELECT changed_by, operation, record_id, old_values, new_values, reason, status FROM config_audit_log "
        "WHERE table_name = 'dynamic_config' ORDER BY id"
    )


def test_every_key_of_the_quick_reference_is_there_with_its_default(web_ui: WebUIUnderTest) -> None:
    answer = web_ui.call("GET", "/config", key=VIEWER).json
    assert answer["enabled"] is True
    assert (answer["total"], answer["page"]) == (len(DYNAMIC_KEYS), 1)
    found = {each["key"]: (each["type"], each["value"], each["source"]) for each in answer["config"]}
    assert found == {
        "cache_reload_interval": ("integer", 300, "default"),
        "max_ingest_queue_size": ("integer", 1_000_000, "default"),
        "alerter_queue_warn_threshold": ("integer", 1000, "default"),
        "alerter_queue_shed_threshold": ("integer", 2000, "default"),
        "alerter_shed_mode": ("text", "dlq", "default"),
        "alerter_defer_sleep_ms": ("integer", 250, "default"),
        "moog_rate_limit": ("integer", 50, "default"),
        "moog_batch_size": ("integer", 100, "default"),
        "slo_window_hours": ("integer", 24, "default"),
        "slo_ingest_success_target": ("number", 0.995, "default"),
        "slo_forward_success_target": ("number", 0.99, "default"),
        "log_level": ("text", "INFO", "default"),
    }
    for each in answer["config"]:
        assert each["doc"]
        assert each["accepts"]
        assert each["programs"]
        assert "problem" not in each or each["problem"] is None


def test_a_change_is_stored_published_and_audited(web_ui: WebUIUnderTest) -> None:
    client = web_ui.redis()
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(keys.CONFIG_UPDATES)
        wait_until(lambda: client.pubsub_numsub(keys.CONFIG_UPDATES)[0][1] > 0, "the subscription")
        changed = web_ui.call("PUT", "/config/moog_rate_limit", {"value": 7, "reason": "the receiver asked for it"})
        assert changed.status_code == 200, changed.json
        assert (changed.json["value"], changed.json["source"], changed.json["default"]) == (7, "redis", 50)
        message = wait_until(lambda: pubsub.get_message(timeout=0.5), "the message", seconds=2)
    assert message["data"] == b"moog_rate_limit"
    assert client.get("mutt:config:moog_rate_limit") == b"7"
    assert setting(web_ui, "moog_rate_limit") == changed.json
    web_ui.call("PUT", "/config/moog_rate_limit", {"value": 8}, headers={"X-Correlation-ID": "0" * 8})
    reset = web_ui.call("DELETE", "/config/moog_rate_limit", {"reason": "over"})
    assert (reset.json["value"], reset.json["source"]) == (50, "default")
    assert client.get("mutt:config:moog_rate_limit") is None
    assert audit_rows(web_ui) == [
        ("webui", "CREATE", "moog_rate_limit", None, {"value": 7}, "the receiver asked for it", "applied"),
        ("webui", "UPDATE", "moog_rate_limit", {"value": 7}, {"value": 8}, None, "applied"),
        ("webui", "DELETE", "moog_rate_limit", {"value": 8}, None, "over", "applied"),
    ]


def test_the_history_is_newest_first_and_paged(web_ui: WebUIUnderTest) -> None:
    for value in (7, 8, 9):
        web_ui.call("PUT", "/config/moog_rate_limit", {"value": value})
    web_ui.call("PUT", "/config/moog_batch_size", {"value": 5})
    page = web_ui.call("GET", "/config/moog_rate_limit/history?limit=2", key=VIEWER).json
    assert (page["total"], page["page"], page["limit"]) == (3, 1, 2)
    assert [(each["old_value"], each["new_value"]) for each in page["history"]] == [(8, 9), (7, 8)]
    assert {(each["changed_by"], each["status"]) for each in page["history"]} == {("webui", "applied")}
    rest = web_ui.call("GET", "/config/moog_rate_limit/history?limit=2&page=2").json["history"]
    assert [(each["old_value"], each["new_value"]) for each in rest] == [(None, 7)]
    assert web_ui.call("GET", "/config/moog_rate_limit/history").json["limit"] == 50


def test_the_same_value_again_changes_nothing(web_ui: WebUIUnderTest) -> None:
    for _ in range(2):
        assert web_ui.call("PUT", "/config/moog_rate_limit", {"value": 7}).status_code == 200
        assert len(audit_rows(web_ui)) == 1
    for _ in range(2):
        assert web_ui.call("DELETE", "/config/moog_rate_limit").status_code == 200
        assert len(audit_rows(web_ui)) == 2


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("moog_rate_limit", 0, "moog_rate_limit must be a whole number from 1 to 1000000"),
        ("moog_rate_limit", 7.5, "whole number"),
        ("moog_rate_limit", "many", "whole number"),
        ("moog_rate_limit", 10**18, "whole number"),
        ("slo_ingest_success_target", 1.01, "slo_ingest_success_target must be a number from 0 to 1"),
        ("slo_ingest_success_target", 1e300, "number from 0 to 1"),
        ("alerter_shed_mode", "drop", "alerter_shed_mode must be one of dlq, defer"),
        ("log_level", "TRACE", "log_level must be one of DEBUG, INFO, WARNING, ERROR"),
        ("slo_window_hours", "", "slo_window_hours must be"),
    ],
)
def test_a_value_that_is_not_accepted_is_refused_by_name(
    web_ui: WebUIUnderTest, key: str, value: Any, words: str
) -> None:
    refused = web_ui.call("PUT", f"/config/{key}", {"value": value})
    assert (refused.status_code, refused.json["field"]) == (400, "value")
    assert words in refused.json["detail"]
    assert audit_rows(web_ui) == []
    assert web_ui.redis().keys("mutt:config:*") == []


@pytest.mark.parametrize("body", [{}, {"value": None}, {"value": True}, {"value": [1]}, {"value": 1, "valeu": 2}])
def test_a_body_that_is_no_value_is_refused(web_ui: WebUIUnderTest, body: dict[str, Any]) -> None:
    assert web_ui.call("PUT", "/config/moog_rate_limit", body).status_code == 400


def test_small_numbers_and_texts_that_are_numbers_are_taken(web_ui: WebUIUnderTest) -> None:
    for value, meant in ((0.0000001, 0.0000001), ("0.9", 0.9), (1, 1.0)):
        answer = web_ui.call("PUT", "/config/slo_ingest_success_target", {"value": value})
        assert (answer.status_code, answer.json["value"]) == (200, meant)
    assert setting(web_ui, "slo_ingest_success_target")["value"] == 1.0


def test_the_thresholds_must_fit_together(web_ui: WebUIUnderTest) -> None:
    refused = web_ui.call("PUT", "/config/alerter_queue_warn_threshold", {"value": 2000})
    assert (refused.status_code, refused.json["field"]) == (422, "value")
    assert "alerter_queue_warn_threshold (2000) must be below alerter_queue_shed_threshold (2000)" in refused.text
    assert web_ui.call("PUT", "/config/alerter_queue_shed_threshold", {"value": 9000}).status_code == 200
    assert web_ui.call("PUT", "/config/alerter_queue_warn_threshold", {"value": 2000}).status_code == 200
    assert web_ui.call("DELETE", "/config/alerter_queue_shed_threshold").status_code == 422
    assert setting(web_ui, "alerter_queue_shed_threshold")["value"] == 9000


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/history")])
def test_an_unknown_key_gets_a_suggestion(web_ui: WebUIUnderTest, method: str, path: str) -> None:
    body = {"value": 1} if method == "PUT" else None
    refused = web_ui.call(method, f"/config/moog_ratelimit{path}", body)
    assert (refused.status_code, refused.json["field"]) == (404, "key")
    assert "did you mean moog_rate_limit?" in refused.json["detail"]


def test_only_admins_change_and_viewers_read(web_ui: WebUIUnderTest) -> None:
    for key in (VIEWER, OPERATOR):
        assert web_ui.call("PUT", "/config/moog_rate_limit", {"value": 7}, key=key).status_code == 403
        assert web_ui.call("DELETE", "/config/moog_rate_limit", key=key).status_code == 403
        assert web_ui.call("GET", "/config/moog_rate_limit/history", key=key).status_code == 200
    assert web_ui.call("GET", "/config", key="").status_code == 401


def test_what_somebody_wrote_with_redis_cli_is_shown_with_its_problem(web_ui: WebUIUnderTest) -> None:
    web_ui.redis().set("mutt:config:moog_rate_limit", "many")
    shown = setting(web_ui, "moog_rate_limit")
    assert (shown["value"], shown["source"]) == (50, "default")
    assert "'many' is ignored: moog_rate_limit must be a whole number" in shown["problem"]
    assert web_ui.call("PUT", "/config/moog_rate_limit", {"value": 7}).json["problem"] is None
    assert audit_rows(web_ui)[0][3:5] == ({"value": "many"}, {"value": 7})


def test_a_stale_etag_is_refused(web_ui: WebUIUnderTest) -> None:
    first = web_ui.call("GET", "/config/moog_rate_limit").headers["ETag"]
    changed = web_ui.call("PUT", "/config/moog_rate_limit", {"value": 7}, headers={"If-Match": first})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first
    for method in ("PUT", "DELETE"):
        body = {"value": 9} if method == "PUT" else None
        assert web_ui.call(method, "/config/moog_rate_limit", body, headers={"If-Match": first}).status_code == 412
    assert setting(web_ui, "moog_rate_limit")["value"] == 7


# --- web UIs of their own ---------------------------------------------------------------------------------------------


def test_switched_off_means_that_a_change_is_refused_and_what_is_stored_ignored(
    redis_server: PrivateRedis, postgres_server: PrivatePostgres
) -> None:
    web_ui = WebUIUnderTest(
        redis_server, postgres_server, DYNAMIC_CONFIG_ENABLED="false", MOOG_RATE_LIMIT="20", LOG_LEVEL="ERROR"
    )
    web_ui.redis().flushall()
    web_ui.redis().set("mutt:config:moog_rate_limit", "7")
    for method, body in (("PUT", {"value": 7}), ("DELETE", None)):
        refused = web_ui.call(method, "/config/moog_rate_limit", body)
        assert (refused.status_code, refused.json["reason"]) == (409, "switched_off")
        assert "DYNAMIC_CONFIG_ENABLED=true" in refused.json["detail"]
    shown = setting(web_ui, "moog_rate_limit")
    assert (shown["value"], shown["default"], shown["source"]) == (20, 20, "environment")
    assert "DYNAMIC_CONFIG_ENABLED is false" in shown["problem"]
    assert setting(web_ui, "log_level")["value"] == "ERROR"
    assert web_ui.call("GET", "/config").json["enabled"] is False


def test_a_change_that_redis_did_not_take_stays_pending(postgres_server: PrivatePostgres) -> None:
    server = PrivateRedis()
    server.start()
    try:
        web_ui = WebUIUnderTest(server, postgres_server)
        dynamic = DynamicConfig(server.mutt_client(), enabled=True)
        assert web_ui.call("PUT", "/config/moog_rate_limit", {"value": 7}).status_code == 200
        dynamic.refresh()
        # Full memory lets Redis be read and not written.
        server.client().config_set("maxmemory", 1)
        refused = web_ui.call("PUT", "/config/moog_rate_limit", {"value": 8})
        assert (refused.status_code, refused.json["reason"]) == (503, "redis_full")
        assert [row[6] for row in audit_rows(web_ui)] == ["applied", "pending"]
        server.kill()
        assert web_ui.call("GET", "/config").status_code == 503
        assert web_ui.call("PUT", "/config/moog_rate_limit", {"value": 8}).status_code == 503
        assert len(audit_rows(web_ui)) == 2
        assert dynamic.integer("moog_rate_limit") == 7
    finally:
        server.stop()


@contextmanager
def ingestor(web_ui: WebUIUnderTest) -> Iterator[falcon.testing.TestClient]:
    web_ui.write_secrets(INGEST_API_KEY="ingest-key")
    wanted = settings.load(settings.Ingestor, web_ui.environ)
    yield falcon.testing.TestClient(create_ingestor(wanted, CollectorRegistry()))
    web_ui.write_secrets()


def test_a_running_ingestor_follows_the_size_of_its_queue_within_two_seconds(web_ui: WebUIUnderTest) -> None:
    event = {"timestamp": "2026-01-01T00:00:00Z", "hostname": "r1", "message": "hello"}

    def send(client: falcon.testing.TestClient) -> int:
        return int(client.simulate_post("/ingest", json=event, headers={"X-API-KEY": "ingest-key"}).status_code)

    with ingestor(web_ui) as client:
        assert send(client) == 202
        assert web_ui.call("PUT", "/config/max_ingest_queue_size", {"value": 1}, key=ADMIN).status_code == 200
        wait_until(lambda: send(client) == 503, "the cap to be followed", seconds=2)
        assert web_ui.call("DELETE", "/config/max_ingest_queue_size").status_code == 200
        wait_until(lambda: send(client) == 202, "the default to be followed", seconds=2)
