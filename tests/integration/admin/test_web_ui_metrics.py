"""What the web UI measures of its stores."""

from prometheus_client import CollectorRegistry

from tests.support.web_ui import WebUIUnderTest


def measured(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


def test_statements_and_scans_are_timed(web_ui: WebUIUnderTest) -> None:
    scans, statements = "mutt_webui_redis_scan_latency_seconds_count", "mutt_webui_db_query_latency_ms_count"
    before = measured(web_ui.registry, scans), measured(web_ui.registry, statements, operation="config_history")
    assert web_ui.call("GET", "/config/moog_rate_limit/history").status_code == 200
    assert web_ui.call("GET", "/dlq").status_code == 200
    assert web_ui.call("GET", "/unhandled").status_code == 200
    assert measured(web_ui.registry, statements, operation="config_history") == before[1] + 1
    assert measured(web_ui.registry, scans) == before[0] + 5  # Four lists of dead letters and the index of patterns.
