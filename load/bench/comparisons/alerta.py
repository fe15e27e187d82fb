"""Alerta, from PyPI, with PostgreSQL: single alerts, which is all that its API takes."""

import json
import os
import random
from pathlib import Path

from load.bench import end_to_end, traffic
from load.bench.comparisons.pairs import absent, compare, environment
from load.bench.effort import Effort
from load.bench.figures import Figure
from load.bench.generator import NUMBER, Body, Job
from load.bench.limits import answers
from load.bench.rig import Rig, free_port
from load.bench.settings import PIPELINE
from load.stack.console import StackError, run_logged

PART = "Alerta and PostgreSQL, single POSTs"
PACKAGES = ("alerta-server", "psycopg2-binary", "gunicorn")
WORKERS, CONNECTIONS = 4, 16
SEVERITIES = ("critical", "critical", "critical", "major", "warning", "informational", "informational", "debug")


def measure(rig: Rig, effort: Effort) -> list[Figure]:
    try:
        programs = environment("alerta", PACKAGES)
    except StackError as error:
        return absent(PART, str(error).splitlines()[0])
    seconds = min(effort.seconds, 8.0)
    return compare(
        f"{PART} (against all of MUTT)",
        lambda: _ours(rig, seconds), lambda: _theirs(rig, programs, seconds), effort.repeats, "events/s",
    )  # fmt: skip


def _ours(rig: Rig, seconds: float) -> tuple[float, float]:
    with rig.running(*PIPELINE):
        passed = end_to_end.passage(rig, seconds, 1, CONNECTIONS)
    return passed.sustained, passed.costs.per_event(passed.outcome.events, *PIPELINE, "redis", "postgres")


def _theirs(rig: Rig, programs: Path, seconds: float) -> tuple[float, float]:
    port, database = free_port(), rig.create_database("alerta")
    configuration = rig.layout.var / "alertad.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(f"DATABASE_URL = {database!r}\nSECRET_KEY = {rig.key!r}\nAUTH_REQUIRED = False\n")
    command = [str(programs / "gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)]
    environ = {"PATH": os.environ.get("PATH", os.defpath), "ALERTA_SVR_CONF_FILE": str(configuration)}
    # Its workers would all make the schema at once, and all but one end over that.
    log = rig.layout.logs / "alerta-schema.log"
    run_logged([str(programs / "python"), "-c", "from alerta import create_app; create_app()"], log, environ)
    rig.start("alerta", [*command, "alerta:create_app()"], environ, cwd=rig.layout.var)
    try:
        rig.wait("alerta", lambda: answers(port))
        job = Job(port, "/alert", _bodies(), seconds, CONNECTIONS)
        rig.fire(Job(port, "/alert", _bodies(), 1.0, CONNECTIONS))
        spent = rig.spent()
        outcome = rig.fire(job)
        costs = spent.stop()
    finally:
        rig.stop_service("alerta")
        rig.drop_database("alerta")
    if not outcome.events:
        raise StackError(f"Alerta took nothing: {outcome.statuses}")
    return outcome.events_per_second, costs.per_event(outcome.events, "alerta", "postgres")


def _bodies() -> list[Body]:
    made = []
    for event, _ in traffic.events(500, random.Random(1)):
        alert = {
            "resource": event["hostname"], "event": f"syslog-{NUMBER.decode()}", "environment": "Production",
            "service": ["network"], "severity": SEVERITIES[int(event["syslog_severity"])], "text": event["message"],
        }  # fmt: skip
        made.append(Body(json.dumps(alert), 1))
    return made
