"""What log lines name and what they never show: correlation, traces, and the values of variables."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest
import structlog

from mutt.observability import logs

ROOT = Path(__file__).parents[2]

START = """
from mutt import gevent_patch
import gevent, logging, sys, structlog, warnings
from mutt import settings
from mutt.observability import logs
general = settings.load(settings.Ingestor, {"MUTT_SECRETS_BACKEND": "file", **__import__("os").environ}).general
logs.configure(general, "mutt-ingestor")
log = structlog.get_logger("mutt.test")
"""


def written(script: str, **environ: str) -> str:
    """All that a process of its own writes: logging is configured for a whole process."""
    ended = subprocess.run(
        [sys.executable, "-c", START + script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "POD_NAME": "mutt-1", **environ},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip
    return ended.stdout


def documents(script: str, **environ: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in written(script, LOG_JSON_ENABLED="true", **environ).splitlines()]


# --- correlation ------------------------------------------------------------------------------------------------------

ONE, TWO = "0197b8a2-5c3e-7f04-9d2b-6e1f0a3c5d77", "0197b8a2-5c3e-7f04-9d2b-6e1f0a3c5d78"


def bound() -> Any:
    return structlog.contextvars.get_contextvars().get("correlation_id")


def test_each_greenlet_has_its_own_correlation_id() -> None:
    def request(correlation_id: str | None) -> list[Any]:
        with logs.correlation(correlation_id):
            seen = [bound()]
            gevent.sleep(0.001)
            return [*seen, bound()]

    ids = [None, *(f"0197b8a2-5c3e-7f04-9d2b-{n:012x}" for n in range(20))]
    greenlets = [gevent.spawn(request, each) for each in ids]
    gevent.joinall(greenlets, raise_error=True)
    assert [each.value for each in greenlets] == [[each, each] for each in ids]
    assert bound() is None


def test_an_id_ends_with_its_request_also_when_the_connection_goes_on() -> None:
    def fail() -> None:
        with logs.correlation(ONE):
            logs.correlate(TWO)
            assert bound() == TWO
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert bound() is None


@pytest.mark.parametrize("text", ["", "x" * 10_000, "not a uuid", f"{ONE}\n{TWO}"])
def test_what_a_client_calls_a_correlation_id_and_is_none_is_not_logged(text: str) -> None:
    with logs.correlation(text):
        assert bound() is None


def test_lines_name_the_correlation_id_of_the_greenlet() -> None:
    script = f"""
with logs.correlation("{ONE.upper()}"):
    log.info("ours")
    logging.getLogger("redis").warning("a library's")
log.info("after")
"""
    assert [each.get("correlation_id") for each in documents(script)] == [ONE, ONE, None]


# --- traces -----------------------------------------------------------------------------------------------------------


def test_lines_name_the_span_under_way() -> None:
    script = """
from mutt.observability import tracing
from mutt.settings import TracingSettings
tracing.start(TracingSettings(True, "http://127.0.0.1:9"), "mutt-ingestor", "pod", lambda spans: None)
log.info("before")
with tracing.ingest_request("/", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") as trace:
    trace.carry([])
    log.info("within")
    logging.getLogger("redis").warning("a library's")
log.info("after")
"""
    before, within, library, after = documents(script)
    assert within["trace_id"] == library["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert within["span_id"] == library["span_id"] != "00f067aa0ba902b7"
    assert not {"trace_id", "span_id"} & {*before, *after}


# --- what nobody caught -----------------------------------------------------------------------------------------------

UNCAUGHT = """
def connect(password):
    shown = {"key": password}
    raise ValueError("no connection")
gevent.spawn(connect, "canary-1").join()
warnings.warn("old ways")
try:
    connect("canary-2")
except ValueError:
    log.exception("tried")
    logging.getLogger("redis").exception("tried too")
connect("canary-3")
"""


@pytest.mark.parametrize("shape", ["true", "false"])
def test_no_traceback_shows_the_values_of_variables(shape: str) -> None:
    text = written(UNCAUGHT, LOG_JSON_ENABLED=shape)
    assert text.count("ValueError: no connection") == 4
    assert "canary" not in text.replace('connect("canary-2")', "").replace('connect("canary-3")', "")


def test_errors_that_nobody_caught_and_warnings_are_lines_like_others() -> None:
    found = documents(UNCAUGHT)
    assert [(each["level"], each["logger"]) for each in found] == [
        ("ERROR", "mutt.uncaught"),
        ("WARNING", "py.warnings"),
        ("ERROR", "mutt.test"),
        ("ERROR", "redis"),
        ("CRITICAL", "mutt.uncaught"),
    ]
    assert "old ways" in found[1]["message"]
    assert all(each["service"] == "mutt-ingestor" for each in found)


def test_an_interrupt_by_hand_is_no_log_line() -> None:
    assert "mutt.uncaught" not in written("raise KeyboardInterrupt")
