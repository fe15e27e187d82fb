"""What the parts allow: Redis asked by its own benchmark, PostgreSQL by a bare COPY, and a worker that does nothing."""

import contextlib
import io
import os
import random
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime

from load.bench import traffic
from load.bench.effort import Effort
from load.bench.figures import Figure
from load.bench.generator import Job
from load.bench.rig import Rig, free_port
from mutt.events.ids import IdSource
from mutt.store.audit import AuditRow
from mutt.store.copying import copy_text
from mutt.store.named import query

PART = "physical limit"
MESSAGE_BYTES = 350
COPY_ROWS = 2000
NOOP = ["--worker-class", "gevent", "--workers", "1", "--worker-connections", "4000", "--no-control-socket"]


def measure(rig: Rig, effort: Effort) -> list[Figure]:
    rig.empty([])
    redis_lines = [_lpush(rig, pipelined, effort) for pipelined in (1, 64)]
    return [*redis_lines, _copy(rig, effort), _noop(rig, effort)]


def _lpush(rig: Rig, pipelined: int, effort: Effort) -> Figure:
    program = shutil.which("redis-benchmark")
    if program is None:
        return Figure(PART, "redis-benchmark", None, "", note="redis-benchmark is not on this machine")
    number = int(effort.seconds) * (20_000 if pipelined == 1 else 60_000)
    command = [program, "-p", str(rig.redis_port), "-a", rig.password, "--csv", "-t", "lpush", "-n", str(number)]
    command += ["-d", str(MESSAGE_BYTES), "-P", str(pipelined), "-c", "50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'^"LPUSH","([0-9.]+)"', done.stdout, re.MULTILINE)
    rig.redis().delete("mylist")
    rate = float(found.group(1)) if found else None
    return Figure(PART, f"redis-benchmark LPUSH of {MESSAGE_BYTES} bytes, -P {pipelined}", rate, "/s")


def _copy(rig: Rig, effort: Effort) -> Figure:
    """Rows that are text already, one connection, the alerter's batches, its table with its indexes."""
    texts = [_rows(COPY_ROWS, number) for number in range(effort.queued_events // COPY_ROWS)]
    spent = rig.spent()
    with rig.database() as connection, connection.cursor() as cursor:
        for text in texts:
            cursor.copy_expert(query("copy_audit_rows"), io.BytesIO(text), 1 << 20)
    costs = spent.stop()
    rows = len(texts) * COPY_ROWS
    note = f"CPU us/row: postgres {costs.per_event(rows, 'postgres'):.1f}"
    return Figure(
        PART, f"COPY of {COPY_ROWS:,} rows at a time into the audit log", rows / costs.seconds, "rows/s", note=note
    )


def _rows(number: int, seed: int) -> bytes:
    ids, now = IdSource(), datetime.now(UTC)
    rows = []
    for index, (event, _) in enumerate(traffic.events(number, random.Random(seed))):
        name = ids.take()
        rows.append(
            AuditRow(name, name, now, event["hostname"], event["message"], "syslog", int(event["syslog_severity"]),
                     None, None, None, "Log_only", None, now, index)
        )  # fmt: skip
    return copy_text(rows)


def _noop(rig: Rig, effort: Effort) -> Figure:
    with noop(rig) as port:
        spent = rig.spent()
        outcome = rig.fire(Job(port, "/api/v2/ingest", traffic.bodies(1), effort.seconds, 64))
        costs = spent.stop()
    note = f"CPU us/request: {costs.per_event(outcome.requests, 'noop'):.0f}; gunicorn's own gevent worker"
    return Figure(PART, "worker that only answers, single POSTs", outcome.requests_per_second, "req/s", note=note)


@contextlib.contextmanager
def noop(rig: Rig) -> Iterator[int]:
    """The port of a falcon application on one gunicorn gevent worker that accepts everything and keeps nothing."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", *NOOP, "--bind", f"127.0.0.1:{port}", "load.bench.noop:app"]
    rig.start("noop", command, os.environ)
    try:
        rig.wait("noop", lambda: answers(port))
        yield port
    finally:
        rig.stop_service("noop")


def answers(port: int, path: str = "/") -> bool:
    """Whether an HTTP server answers there, whatever it says."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}{path}", timeout=2)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
