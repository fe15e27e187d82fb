"""The raw load client against a real server: what it counts is what was answered."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from gevent.pywsgi import WSGIServer

from load.bench.generator import NUMBER, STAMP, Body, Job, Outcome


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    """Answers every fifth request with 503; the bodies that came."""
    bodies: list[bytes] = []

    def answer(environ, start_response):  # type: ignore[no-untyped-def]
        bodies.append(environ["wsgi.input"].read())
        start_response("503 Busy" if len(bodies) % 5 == 0 else "202 Accepted", [("Content-Type", "text/plain")])
        return [b"taken"]

    running = WSGIServer(("127.0.0.1", 0), answer, log=None)
    running.start()
    yield running.server_port, bodies
    running.stop()


def run(job: Job, folder: Path) -> Outcome:
    file = folder / "job.json"
    file.write_bytes(msgspec.json.encode(job))
    command = [sys.executable, "-m", "load.bench.generator", str(file)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    return msgspec.json.decode(done.stdout, type=Outcome)


def test_it_counts_what_was_accepted_and_nothing_else(server: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, bodies = server
    outcome = run(Job(port, "/ingest", [Body("three events", 3, 1)], seconds=0.3, connections=2), tmp_path)
    refused = len(bodies) // 5
    assert outcome.statuses == {"202": len(bodies) - refused, "503": refused}
    assert outcome.requests == len(bodies) - refused > 0
    assert (outcome.events, outcome.forwardable) == (3 * outcome.requests, outcome.requests)
    assert outcome.failures == refused
    assert 0 < outcome.p50 <= outcome.p99 <= outcome.longest


def test_with_a_rate_it_posts_so_many_requests(server: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, bodies = server
    run(Job(port, "/ingest", [Body("event", 1)], seconds=1.0, connections=4, rate=50), tmp_path)
    assert 45 <= len(bodies) <= 51


def test_it_writes_number_and_time_into_the_bodies(server: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, bodies = server
    body = Body(f"{NUMBER.decode()} {STAMP.decode()}", 1)
    began = time.time()
    run(Job(port, "/ingest", [body], seconds=0.2, connections=1), tmp_path)
    numbers = [int(each.split()[0]) for each in bodies]
    assert numbers == list(range(1, len(bodies) + 1))
    assert all(began <= float(each.split()[1]) <= time.time() for each in bodies)


def test_a_server_that_closes_after_each_answer_costs_no_request(tmp_path: Path) -> None:
    bodies: list[bytes] = []

    def answer(environ, start_response):  # type: ignore[no-untyped-def]
        bodies.append(environ["wsgi.input"].read())
        start_response("202 Accepted", [("Connection", "close"), ("Content-Length", "0")])
        return []

    running = WSGIServer(("127.0.0.1", 0), answer, log=None)
    running.start()
    try:
        outcome = run(Job(running.server_port, "/ingest", [Body("event", 1)], seconds=0.5, connections=4), tmp_path)
    finally:
        running.stop()
    assert outcome.statuses == {"202": len(bodies)}
    assert len(bodies) > 8
