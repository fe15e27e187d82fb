"""Prometheus Alertmanager, from Debian: the same alerts on /api/v2/alerts, as many routes as there are rules."""

import json
import os
import random
import re
import shutil

from load.bench import end_to_end, traffic
from load.bench.comparisons.pairs import absent, compare
from load.bench.effort import Effort
from load.bench.figures import Figure
from load.bench.generator import NUMBER, Body, Job
from load.bench.limits import answers
from load.bench.rig import Rig, free_port
from load.bench.settings import PIPELINE

RULES, BATCH, CONNECTIONS = 200, 100, 8
DISTINCT_SECONDS = 8.0
"""It keeps every alert in memory; a longer run would measure how that grows."""


def measure(rig: Rig, effort: Effort) -> list[Figure]:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    part = f"Alertmanager, {RULES} routes, batches of {BATCH}"
    if program is None:
        return absent(part, "Debian's package prometheus-alertmanager is not installed")
    seconds = min(effort.seconds, DISTINCT_SECONDS)
    return compare(
        f"{part} (against all of MUTT, with audit log and webhook)",
        lambda: ours(rig, seconds), lambda: _theirs(rig, program, seconds), effort.repeats, "events/s",
    )  # fmt: skip


def ours(rig: Rig, seconds: float) -> tuple[float, float]:
    """All of MUTT, from source to webhook."""
    with rig.running(*PIPELINE):
        passed = end_to_end.passage(rig, seconds, BATCH, CONNECTIONS)
    return passed.sustained, passed.costs.per_event(passed.outcome.events, *PIPELINE, "redis", "postgres")


def _theirs(rig: Rig, program: str, seconds: float) -> tuple[float, float]:
    port = free_port()
    folder = rig.layout.var / f"alertmanager-{port}"
    folder.mkdir()
    configuration = folder / "alertmanager.json"
    configuration.write_text(json.dumps(_configuration(rig)))
    command = [program, f"--config.file={configuration}", f"--storage.path={folder}", "--cluster.listen-address="]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with rig.running():
        rig.start("alertmanager", command, os.environ)
        try:
            rig.wait("alertmanager", lambda: answers(port, "/-/ready"))
            spent = rig.spent()
            outcome = rig.fire(Job(port, "/api/v2/alerts", _bodies(), seconds, CONNECTIONS))
            costs = spent.stop()
        finally:
            rig.stop_service("alertmanager")
    return outcome.events_per_second, costs.per_event(outcome.events, "alertmanager")


def _configuration(rig: Rig) -> dict[str, object]:
    """A route a rule, in the rules' order; what no route takes goes to the last receiver, as what only logs does."""
    routes = []
    for rule in sorted(traffic.rules(RULES), key=lambda each: -each.priority):
        pattern = rule.match_string if rule.match_type == "regex" else re.escape(str(rule.match_string))
        paged = rule.prod_handling != "Log_only"
        routes.append(
            {"matchers": [f"message=~{json.dumps(f'.*{pattern}.*')}"], "receiver": "moog" if paged else "none"}
        )
    hook = {"url": f"http://127.0.0.1:{rig.sink_port}/alertmanager", "send_resolved": False}
    root = {"receiver": "none", "group_by": ["hostname"], "group_wait": "1s", "group_interval": "5s", "routes": routes}
    return {"route": root, "receivers": [{"name": "none"}, {"name": "moog", "webhook_configs": [hook]}]}


def _bodies() -> list[Body]:
    made, chance = [], random.Random(1)
    for _ in range(20):
        events = [event for event, _ in traffic.events(BATCH, chance)]
        alerts = [
            {"labels": {"alertname": "syslog", "hostname": event["hostname"], "message": event["message"],
                        "severity": event["syslog_severity"], "number": f"{NUMBER.decode()}-{index}"}}
            for index, event in enumerate(events)
        ]  # fmt: skip
        made.append(Body(json.dumps(alerts), BATCH))
    return made
