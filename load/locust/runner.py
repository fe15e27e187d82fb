"""Starts Locust, reads what it has measured, and judges a profile by its thresholds and the accounting."""

import csv
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping

from load.bench import traffic
from load.bench.effort import Effort
from load.bench.end_to_end import prepare
from load.bench.figures import Figure, at_most, exact
from load.bench.generator import Job
from load.bench.limits import noop
from load.bench.rig import Rig
from load.bench.settings import PIPELINE
from load.locust.profiles import PROFILES, Profile
from load.locust.tally import FOLDER_VARIABLE, Tally, read
from load.stack.console import StackError, tail
from load.stack.layout import ROOT

REPORTS = ROOT / "var" / "locust"
STOP_SECONDS = 60.0
DRIVE_SECONDS, DRIVE_USERS = 10, 50


def measure(made: Rig, effort: Effort) -> list[Figure]:
    """The steady profile and what a client can drive, as a part of the whole measurement."""
    return run(made, PROFILES["steady"], int(4 * effort.seconds)) + drive(made)


def run(made: Rig, profile: Profile, seconds: int | None = None) -> list[Figure]:
    """One profile on an appliance of its own, and the verdict on each of its thresholds."""
    with made.running(*PIPELINE):
        return _run(made, profile, seconds or profile.seconds)


def _run(made: Rig, profile: Profile, seconds: int) -> list[Figure]:
    prepare(made)
    tallies = made.layout.var / f"tally-{profile.name}"
    shutil.rmtree(tallies, ignore_errors=True)
    tallies.mkdir()
    locust(made, profile.name, seconds, profile.users, f"http://127.0.0.1:{made.ports['SERVER_PORT_INGESTOR']}",
           {FOLDER_VARIABLE: str(tallies)})  # fmt: skip
    drained = made.drain(profile.drain_seconds * 10)
    return _judged(made, profile, read(tallies), drained)


def locust(made: Rig, name: str, seconds: int, users: int, host: str, variables: Mapping[str, str]) -> None:
    """Runs Locust without its page; its figures and its report lie in var/locust. Raises StackError when it fails."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "load" / "locust" / f"{name}.py"), "--headless"]
    command += ["--host", host, "--html", str(REPORTS / f"{name}.html"), "--csv", str(REPORTS / name)]
    command += ["--exit-code-on-error", "0", "--loglevel", "WARNING", "--only-summary", "--stop-timeout", "30"]
    if users:
        command += ["--users", str(users), "--spawn-rate", "200", "--run-time", f"{seconds}s"]
    environ = {
        **os.environ, **variables, "LOCUST_SECONDS": str(seconds), "INGEST_API_KEY": made.key, "PYTHONPATH": str(ROOT),
        "WEBUI_API_KEY": made.key, "MUTT_ADMIN_URL": f"http://127.0.0.1:{made.ports['SERVER_PORT_WEBUI']}",
    }  # fmt: skip
    log = REPORTS / f"{name}.log"
    with log.open("wb") as output:
        try:
            done = subprocess.run(command, stdout=output, stderr=output, env=environ, cwd=ROOT,
                                  timeout=seconds + STOP_SECONDS, check=False)  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise StackError(f"Locust did not end; {log} says:\n{tail(log)}") from error
    if done.returncode != 0:
        raise StackError(f"Locust failed; {log} says:\n{tail(log)}")


def _judged(made: Rig, profile: Profile, tally: Tally, drained: float) -> list[Figure]:
    rows = statistics_of(profile.name)
    part, received = f"{profile.name}: {profile.says}", made.received()
    audited, letters = made.audited(), int(made.redis().llen("mutt:dlq:ingest"))
    lost = abs(tally.accepted - audited) + abs(tally.forwardable - received.distinct) + abs(tally.rejected - letters)
    lost += received.alerts - received.distinct
    accounting = f"{tally.accepted:,} accepted, {audited:,} audited; {tally.forwardable:,} forwardable, "
    accounting += f"{received.distinct:,} received; {tally.rejected:,} refused, {letters:,} dead letters"
    figures = []
    if profile.eps:
        figures.append(Figure(part, "accepted", tally.accepted / tally.seconds, "events/s", profile.eps))
    for name, row in rows.items():
        figures.append(at_most(part, f"{name}, p95", float(row["95%"]), "ms", profile.p95))
        figures.append(at_most(part, f"{name}, p99", float(row["99%"]), "ms", profile.p99))
    failures = sum(int(row["Failure Count"]) for row in rows.values())
    requests = sum(int(row["Request Count"]) for row in rows.values())
    figures.append(exact(part, "requests failed", failures, f"of {requests:,}"))
    figures.append(exact(part, "events without an answer that counts", tally.unknown))
    if not profile.may_wait:
        figures.append(exact(part, "events told to wait", tally.told_to_wait))
    figures.append(at_most(part, "queues empty after", drained, "s", profile.drain_seconds))
    figures.append(exact(part, "lost or doubled", lost, accounting))
    return figures


def statistics_of(name: str) -> dict[str, dict[str, str]]:
    """Locust's line for the ingest requests, and one for each of the API's."""
    with (REPORTS / f"{name}_stats.csv").open(newline="") as file:
        return {row["Name"]: row for row in csv.DictReader(file) if row["Name"] != "Aggregated"}


def drive(made: Rig) -> list[Figure]:
    """CPU that Locust and the raw generator take for a request, on the same worker that only answers."""
    with noop(made) as port:
        before = _children_cpu()
        locust(made, "drive", DRIVE_SECONDS, DRIVE_USERS, f"http://127.0.0.1:{port}", {})
        spent = _children_cpu() - before
        row = statistics_of("drive")["ingest"]
        raw = made.fire(Job(port, "/api/v2/ingest", traffic.bodies(1), DRIVE_SECONDS, DRIVE_USERS))
    requests, part = int(row["Request Count"]), "what a client can drive"
    if not requests or not raw.requests:
        raise StackError("no request was answered")
    return [
        Figure(part, "Locust, single requests a core", requests / spent, "req/s",
               note=f"{1e6 * spent / requests:.0f} CPU us/request with its start; {requests:,} sent; "
                    f"p50 {row['50%']} ms, p99 {row['99%']} ms"),
        Figure(part, "raw generator, single requests a core", raw.requests / raw.cpu_seconds, "req/s",
               note=f"{1e6 * raw.cpu_seconds / raw.requests:.0f} CPU us/request; {raw.requests:,} sent; "
                    f"p50 {raw.p50:.1f} ms, p99 {raw.p99:.1f} ms"),
    ]  # fmt: skip


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
