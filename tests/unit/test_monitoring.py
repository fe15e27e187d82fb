"""Code, reference, alert rules, dashboards and runbooks say the same: none names what another does not have."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from prometheus_client import CollectorRegistry

from mutt.cli.main import main as mutt_admin
from mutt.observability import reference
from mutt.observability.histogram import AGE_SECONDS, AgeHistogram
from tests.support import promql

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
UNITS = {"s", "ms", "short", "none", "ops", "reqps", "percentunit", "bool"}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "prometheus" / "mutt.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"]: promql.labels_of_result(rule) for rule in rules() if "record" in rule}


def panels(file: Path) -> list[dict[str, Any]]:
    return list(json.loads(file.read_text())["panels"])


# --- the reference ---------------------------------------------------------------------------------------------


def test_the_reference_is_current() -> None:
    """python -m mutt.observability.reference > docs/reference/metrics.md"""
    assert (ROOT / "docs" / "reference" / "metrics.md").read_text() == reference.render()


def test_shared_metrics_mean_the_same_in_every_program() -> None:
    for name, found in promql.exported().items():
        assert len({(each.kind, each.meaning, each.mode, each.bounds, tuple(each.labels)) for each in found}) == 1, name


# --- rules and dashboards ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_name_only_what_exists(rule: dict[str, Any]) -> None:
    assert list(promql.mistakes(rule["expr"], RECORDED)) == []


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_dashboards_name_only_what_exists(file: Path) -> None:
    for panel in panels(file):
        for target in panel["targets"]:
            assert list(promql.mistakes(target["expr"], RECORDED)) == [], panel["title"]


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        ("mutt_ingest_queue_dept > 1", "mutt_ingest_queue_dept does not exist"),
        ("rate(mutt_ingest_latency_seconds[5m])", "mutt_ingest_latency_seconds does not exist"),
        ('mutt_moog_requests_total{state="fail"}', "mutt_moog_requests_total has no label state"),
        ('mutt_moog_requests_total{status="failed"}', "mutt_moog_requests_total never has status='failed'"),
        ('up{job="mutt-alert"}', "up never has job='mutt-alert'"),
        ("sum by (status) (mutt_moog_dlq_depth)", "nothing in the expression has the label status"),
        ("mutt:alerter_events:rate1m", "mutt:alerter_events:rate1m does not exist"),
    ],
)
def test_a_wrong_name_is_found(expression: str, mistake: str) -> None:
    assert list(promql.mistakes(expression, RECORDED)) == [mistake]


def test_every_metric_is_on_a_dashboard() -> None:
    shown = "\n".join(file.read_text() for file in DASHBOARDS)
    recorded = "\n".join(rule["expr"] for rule in rules() if "record" in rule)
    names = {metric.name for found in reference.catalogue().values() for metric in found}
    assert {name for name in names if not re.search(rf"\b{name}(_bucket)?\b", shown + recorded)} == set()


def test_dashboards_can_be_told_apart_and_read() -> None:
    loaded = [json.loads(file.read_text()) for file in DASHBOARDS]
    assert len({each["uid"] for each in loaded}) == len({each["title"] for each in loaded}) == len(DASHBOARDS) == 6
    assert [each["uid"] for each in loaded] == [file.stem for file in DASHBOARDS]
    assert all(each["schemaVersion"] >= 38 and each["tags"] == ["mutt"] for each in loaded)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_every_panel_says_what_it_shows(file: Path) -> None:
    found = panels(file)
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells


def test_provisioning_is_yaml_that_leads_to_the_dashboards() -> None:
    folder = MONITORING / "grafana" / "provisioning"
    provider = yaml.safe_load((folder / "dashboards" / "mutt.yml").read_text())["providers"][0]
    assert provider["options"]["path"] == "/usr/share/mutt/monitoring/grafana/dashboards"
    assert yaml.safe_load((folder / "datasources" / "mutt.yml").read_text())["datasources"][0]["type"] == "prometheus"


# --- alerts and runbooks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["description"].endswith(".")
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        f"# {name}", "## Look", "## Do", "## Harmless when",
    ]  # fmt: skip


def test_the_alerts_of_the_specification_are_there() -> None:
    assert {"MUTTDlqGrowing", "MUTTCacheReloadFailed", "MUTTIngestQueueFull", "MUTTHighAlerterDLQ", "MUTTHighMoogDLQ",
            "MUTTMoogRateLimitHit", "MUTTProgramDown"} <= set(ALERTS)  # fmt: skip


def test_runbooks_are_listed_and_lead_somewhere() -> None:
    pages = {file.stem for file in RUNBOOKS.glob("MUTT*.md")}
    listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert pages == set(ALERTS)
    assert dict(listed) == {name: alert["labels"]["severity"] for name, alert in ALERTS.items()}
    for file in RUNBOOKS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", file.read_text()):
            assert (RUNBOOKS / link).exists(), f"{file.name}: {link}"


@pytest.mark.parametrize("file", sorted(RUNBOOKS.glob("*.md")), ids=lambda file: file.stem)
def test_runbooks_name_only_commands_and_options_that_exist(file: Path) -> None:
    for line in re.findall(r"(?:`|^    )mutt-admin ([^`\n#]+)", file.read_text(), re.MULTILINE):
        command: click.Command = mutt_admin
        words = line.split()
        while words and isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found, f"{file.name}: mutt-admin {line}"
            command = found
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        assert {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)} <= known, f"{file.name}: {line}"


def test_runbooks_name_only_settings_and_panels_that_exist() -> None:
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text()
    titles = {panel["title"] for file in DASHBOARDS for panel in panels(file)}
    titles |= {json.loads(file.read_text())["title"] for file in DASHBOARDS}
    for file in RUNBOOKS.glob("*.md"):
        text = file.read_text()
        for name in re.findall(r"\b(?:ALERTER|MOOG|DB|REDIS|VAULT|REMEDIATION|MUTT)_[A-Z_]+\b", text):
            assert f"`{name}`" in settings or name in ("MUTT_BIN", "MOOG_API_KEY", "MOOG_API_KEY_NEXT"), name
        for title in re.findall(r"\*([^*\n]+)\*", text):
            assert title in titles, f"{file.name}: no panel or dashboard {title!r}"


# --- ages of a batch -----------------------------------------------------------------------------------------------


def histogram(registry: CollectorRegistry) -> AgeHistogram:
    return AgeHistogram("ages", "Ages.", registry=registry, buckets=AGE_SECONDS)


@pytest.mark.parametrize("ages", [[0.02] * 7, [0.02, 0.5, 7.0, 0.02, 7200.0], [0.012, 0.03], [3600.0], [-5.0, -5.0]])
def test_ages_of_a_batch_are_counted_like_single_ones(ages: list[float]) -> None:

    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    ours, single = CollectorRegistry(), CollectorRegistry()
    histogram(ours).observe_since([now - timedelta(seconds=age) for age in ages], now.timestamp())
    for age in ages:
        histogram_of_one = single._names_to_collectors.get("ages") or histogram(single)
        histogram_of_one.observe(max(0.0, age))  # type: ignore[attr-defined]
    for bound in (*map(float, AGE_SECONDS), float("inf")):
        labels = {"le": "+Inf" if bound == float("inf") else str(bound)}
        assert ours.get_sample_value("ages_bucket", labels) == single.get_sample_value("ages_bucket", labels), bound
    assert ours.get_sample_value("ages_sum") == pytest.approx(single.get_sample_value("ages_sum"), abs=0.001)


def test_a_time_without_an_offset_fails_nobody() -> None:

    registry = CollectorRegistry()
    counted = histogram(registry)
    counted.observe_since([datetime.now(UTC), datetime(2026, 7, 1)], datetime.now(UTC).timestamp())  # noqa: DTZ001
    counted.observe_since([], 0.0)
    assert registry.get_sample_value("ages_count") == 2
