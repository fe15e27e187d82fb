"""The files for Prometheus, Alertmanager and Grafana, judged by promtool and amtool."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

MONITORING = Path(__file__).parents[2] / "monitoring"
RULES = MONITORING / "prometheus" / "mutt.rules.yml"
TESTS = sorted((MONITORING / "prometheus" / "tests").glob("*.test.yml"))

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed; Debian has it in the package prometheus"
)
needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="amtool is not installed; Debian has it in prometheus-alertmanager"
)


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=120)


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    done = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(rules())} rules found" in done.stdout


@needs_promtool
@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name.removesuffix(".test.yml"))
def test_alerts_fire_when_they_must_and_only_then(file: Path) -> None:
    done = run("promtool", "test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    fired, quiet = set(), set()
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            for case in test["promql_expr_test"]:
                name = re.search(r'alertname="(\w+)"', case["expr"])
                assert name is not None
                (fired if case.get("exp_samples") else quiet).add(name[1])
    assert fired == quiet == {rule["alert"] for rule in rules() if "alert" in rule}


@needs_promtool
def test_the_sentences_of_a_firing_alert_can_be_written(tmp_path: Path) -> None:
    """Told that nothing fires, promtool prints what does, with its sentences filled in."""
    written: dict[str, str] = {}
    for file in TESTS:
        content = yaml.safe_load(file.read_text())
        content["rule_files"] = [str(RULES)]
        content["tests"] = [test for test in content["tests"] if test["promql_expr_test"][0].get("exp_samples")]
        for test in content["tests"]:
            (case,) = test.pop("promql_expr_test")
            name = re.findall(r'alertname="(\w+)"', case["expr"])[0]
            test["alert_rule_test"] = [{"alertname": name, "eval_time": case["eval_time"], "exp_alerts": []}]
        changed = tmp_path / file.name
        changed.write_text(yaml.safe_dump(content))
        printed = run("promtool", "test", "rules", changed).stderr
        for name, got in re.findall(r"alertname: (\w+), time: .*?got:\s*\[(.*?)\n\s*\]", printed, re.DOTALL):
            written[name] = got
    assert set(written) == {rule["alert"] for rule in rules() if "alert" in rule}
    for name, got in written.items():
        assert "error expanding" not in got, f"{name}: {got}"
        assert "<no value>" not in got, f"{name}: {got}"
        assert "{{" not in got, f"{name}: {got}"


@needs_promtool
def test_every_expression_of_a_dashboard_is_promql(tmp_path: Path) -> None:
    expressions = [
        target["expr"]
        for file in (MONITORING / "grafana" / "dashboards").glob("*.json")
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    ]
    assert len(expressions) > 100
    as_rules = [{"record": f"dashboard:number_{number}", "expr": expr} for number, expr in enumerate(expressions)]
    file = tmp_path / "dashboards.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": as_rules}]}))
    done = run("promtool", "check", "rules", "--lint=none", file)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_accepts_the_scrape_configuration() -> None:
    done = run("promtool", "check", "config", MONITORING / "prometheus" / "scrape-mutt.example.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_amtool
def test_amtool_accepts_the_routing() -> None:
    done = run("amtool", "check-config", MONITORING / "alertmanager" / "mutt-routing.example.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_amtool
@pytest.mark.parametrize(("severity", "receiver"), [("critical", "on-call"), ("warning", "working-day")])
def test_severity_decides_who_is_told(severity: str, receiver: str) -> None:
    routing = MONITORING / "alertmanager" / "mutt-routing.example.yml"
    done = run("amtool", "config", "routes", "test", f"--config.file={routing}",
               "alertname=MUTTCircuitOpen", f"severity={severity}")  # fmt: skip
    assert done.stdout.strip() == receiver


def test_the_routing_leaves_out_only_alerts_that_exist() -> None:
    routing = yaml.safe_load((MONITORING / "alertmanager" / "mutt-routing.example.yml").read_text())
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    for rule in routing["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, _, value = re.split(r"(=~|=)", matcher, maxsplit=1)
            if label == "alertname":
                for part in value.strip('"').split("|"):
                    assert any(re.fullmatch(part, name) for name in names), matcher
