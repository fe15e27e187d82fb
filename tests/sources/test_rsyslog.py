"""rsyslogd -> MUTT with the printed snippet: every message audited once, whatever is taken away meanwhile."""

import os
import re
import signal
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from mutt.cli.relay import Relay
from mutt.cli.rsyslog_snippet import THREADS, configuration
from mutt.cli.snmptrapd_snippet import relay_part
from tests.sources.conftest import MakeRelay
from tests.sources.relay import Rsyslogd, lines
from tests.support.appliance import INGEST_KEY, Appliance
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

RESUBMISSIONS = 'mutt_alerter_duplicates_total{kind="resubmission"}'


def run_name() -> str:
    return f"run-{uuid.uuid4().hex[:8]}"


def counted(appliance: Appliance, run: str) -> tuple[int, int]:
    """Rows of a run in the audit log, and different messages among them."""
    statement = "SELECT count(*), count(DISTINCT message) FROM event_audit_log WHERE message LIKE %s"
    rows, different = appliance.query(statement, f"%{run}%")[0]
    return rows, different


def wait_for(appliance: Appliance, run: str, number: int, seconds: float) -> None:
    wait_until(lambda: counted(appliance, run)[1] >= number, f"{number} messages in the audit log", seconds, every=0.2)
    appliance.wait_until_idle()


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def restart_ingestor(appliance: Appliance, by: signal.Signals) -> None:
    """Ends the ingestor, in an orderly way or not, and starts it again."""
    process = appliance.process("mutt-ingestor")
    family = [process.pid, *children(process.pid)]
    for pid in family if by is signal.SIGKILL else family[:1]:
        os.kill(pid, by)
    process.wait(timeout=30)
    appliance.start_program("mutt-ingestor")
    wait_until(lambda: appliance.health("mutt-ingestor")[0] == 200, "the ingestor to be healthy", seconds=40)


def test_10000_messages_through_five_restarts_of_the_ingestor(appliance: Appliance, relay: Rsyslogd) -> None:
    run, total = run_name(), 10_000
    # In batches between the restarts, so that each one comes while messages are on their way.
    batches = [lines(run, total)[start::5] for start in range(5)]
    for batch, by in zip(batches, [signal.SIGTERM, signal.SIGKILL] * 2 + [signal.SIGTERM], strict=False):
        before = counted(appliance, run)[1]
        relay.send(batch)
        wait_until(lambda seen=before: counted(appliance, run)[1] > seen, "some of the batch", seconds=30)
        restart_ingestor(appliance, by)
    wait_for(appliance, run, total, 180)
    assert counted(appliance, run) == (total, total)


@pytest.mark.parametrize("mode", ["single", "newline", "jsonarray", "kafkarest"])
def test_50000_messages(appliance: Appliance, make_relay: MakeRelay, snippet: str, mode: str) -> None:
    """The figures of docs/how-to/feed-from-rsyslog.md; the batches are not what the snippet says, see the next test."""
    run, total = run_name(), 50_000
    relay = make_relay(snippet if mode == "single" else in_batches(snippet, mode))
    messages, started = lines(run, total), time.monotonic()
    relay.send(messages)
    wait_for(appliance, run, total, 400)
    seconds = time.monotonic() - started
    print(f"\n{mode}: {total} messages sent and audited in {seconds:.1f} s, {total / seconds:.0f}/s")
    assert counted(appliance, run) == (total, total)


def in_batches(snippet: str, batch_format: str) -> str:
    """The snippet as it would be with many messages a request."""
    batched = snippet.replace('batch="off"', f'batch="on" batch.format="{batch_format}" batch.maxsize="500"')
    return batched.replace('queue.dequeueBatchSize="1"', 'queue.dequeueBatchSize="500"')


@pytest.mark.parametrize(("mode", "loses"), [("single", False), ("newline", True)])
def test_five_seconds_without_redis(
    appliance: Appliance, make_relay: MakeRelay, snippet: str, mode: str, loses: bool
) -> None:
    """MUTT answers 503. One message a request waits and is sent later; a batch is thrown away by this omhttp."""
    run, total = run_name(), 2_000
    relay = make_relay(snippet if mode == "single" else in_batches(snippet, mode))
    messages = lines(run, total)
    relay.send(messages[:500])
    wait_for(appliance, run, 500, 60)
    appliance.redis_server.kill()
    stopped = time.monotonic()
    try:
        relay.send(messages[500:])
        wait_until(lambda: "503" in relay.log() or time.monotonic() > stopped + 5, "five seconds", 10)
        wait_until(lambda: time.monotonic() > stopped + 5, "five seconds", 10)
    finally:
        appliance.redis_server.start()
    last = lines(f"{run}-last", 1)
    relay.send(last)
    wait_for(appliance, f"{run}-last", 1, 60)
    if loses:
        assert counted(appliance, run)[1] < total
    else:
        wait_for(appliance, run, total + 1, 60)
        assert counted(appliance, run) == (total + 1, total + 1)
    told = appliance.query("SELECT count(*) FROM event_audit_log WHERE message LIKE '%%omhttp%%'")
    assert told == [(0,)], "what rsyslog says about its own action must not be sent"


def test_a_lost_answer_costs_a_resubmission_and_no_second_row(
    appliance: Appliance, make_relay: MakeRelay, key_file: Path
) -> None:
    run = run_name()
    before = appliance.metric("METRICS_PORT_ALERTER", RESUBMISSIONS)
    with TcpProxy(appliance.ports["SERVER_PORT_INGESTOR"]) as network:
        relay = make_relay(configuration(Relay((8, 2302), f"http://127.0.0.1:{network.port}", str(key_file))))
        network.drop_next_reply(run.encode(), count=5)
        relay.send(lines(run, 200))
        wait_for(appliance, run, 200, 60)
        wait_until(lambda: network.replies_lost == 5, "five answers to be lost", 30)
        wait_until(
            lambda: appliance.metric("METRICS_PORT_ALERTER", RESUBMISSIONS) == before + 5, "five resubmissions", 30
        )
    assert counted(appliance, run) == (200, 200)


def test_a_wrong_key_costs_nothing_once_mutt_takes_it(appliance: Appliance, relay: Rsyslogd) -> None:
    """The way out without a restart of rsyslog: MUTT takes a second key, INGEST_API_KEY_NEXT."""
    run = run_name()
    secrets = appliance.folder / "secrets.env"
    right = secrets.read_text()
    secrets.write_text(right.replace(f"INGEST_API_KEY={INGEST_KEY}", "INGEST_API_KEY=another-key"))
    try:
        wait_until(lambda: appliance.post({}, "/api/v2/ingest/rsyslog").status_code == 503, "the key to be refused", 60)
        relay.send(lines(run, 500))
        wait_until(lambda: "unauthorized" in refusals(appliance), "refused requests", 30)
        assert counted(appliance, run) == (0, 0)
        secrets.write_text(
            right.replace(
                f"INGEST_API_KEY={INGEST_KEY}", f"INGEST_API_KEY=another-key\nINGEST_API_KEY_NEXT={INGEST_KEY}"
            )
        )
        wait_for(appliance, run, 500, 90)
    finally:
        secrets.write_text(right)
    wait_until(lambda: appliance.post({}, "/api/v2/ingest/rsyslog").status_code == 202, "the right key again", 60)
    assert counted(appliance, run) == (500, 500)


def refusals(appliance: Appliance) -> dict[str, int]:
    """Requests that the ingestor refused since it started, by reason."""
    text = requests.get(f"{appliance.ingest_url}/metrics", timeout=10).text
    found = re.findall(r'^mutt_ingest_requests_total\{reason="(\w+)",status="fail"\} ([1-9]\S*)', text, re.MULTILINE)
    return {reason: int(float(number)) for reason, number in found}


def test_a_mended_key_file_costs_what_was_in_hand_at_most(
    appliance: Appliance, make_relay: MakeRelay, snippet: str, key_file: Path
) -> None:
    """rsyslog must be restarted to read the file; it throws away one or two messages that each thread has in hand."""
    run, total = run_name(), 500
    key_file.write_text("wrong")
    relay = make_relay(snippet)
    refused = refusals(appliance).get("unauthorized", 0)
    relay.send(lines(run, total))
    wait_until(lambda: refusals(appliance).get("unauthorized", 0) > refused + 4, "refused requests", 30)
    key_file.write_text(INGEST_KEY)
    relay.stop()
    relay.start()
    relay.send(lines(f"{run}-last", 1))
    wait_for(appliance, f"{run}-last", 1, 60)
    wait_for(appliance, run, total + 1 - 2 * THREADS, 60)
    rows, different = counted(appliance, run)
    print(f"\na restart during an outage lost {total + 1 - rows} of {total}")
    assert rows == different


def test_what_devices_should_not_send_is_taken_too(appliance: Appliance, relay: Rsyslogd) -> None:
    run = run_name()
    odd = {
        "long": b"x" * 100_000,
        "nul": b"before\x00after",
        "latin": "d\xe9faut".encode("latin-1"),
        "control": b'bell\x07 tab\t quote" backslash\\',
        "emoji": "fan \U0001f525".encode(),
    }
    now = datetime.now(UTC).strftime("%b %e %H:%M:%S")
    relay.send([f"<187>{now} edge1 test: {run} {name} ".encode() + text for name, text in odd.items()])
    relay.send([f"device: {run} no header at all".encode()])
    wait_for(appliance, run, len(odd) + 1, 30)
    statement = "SELECT message, attributes->>'truncated' FROM event_audit_log WHERE message LIKE %s"
    found = {
        message.partition(f"{run} ")[2].split()[0]: message for message, _ in appliance.query(statement, f"%{run}%")
    }
    assert len(found["long"].encode()) == 65536
    assert found["nul"].endswith("before#000after")
    assert found["latin"].endswith("d\ufffdfaut")
    assert found["control"].endswith('bell#007 tab#011 quote" backslash\\')
    assert found["emoji"].endswith("fan \U0001f525")
    assert appliance.redis().llen("mutt:dlq:ingest") == 0


UNIT = 'if $msg contains "unit-of-mutt" then set $!_SYSTEMD_UNIT = "mutt.service";'


def test_what_mutt_logs_does_not_come_round(appliance: Appliance, make_relay: MakeRelay, snippet: str) -> None:
    """By its program, and by its unit as imjournal gives it."""
    run = run_name()
    relay = make_relay(snippet, extra=UNIT)
    tags = ["mutt-ingestor[7]:", "mutt:", "mutt[9]:", "bash[12]: unit-of-mutt", "muttering:", "rsyslogd:"]
    relay.send([f"<30>Nov 21 10:00:00 host {tag} {run}".encode() for tag in tags])
    wait_for(appliance, run, 2, 30)
    rows = appliance.query("SELECT message FROM event_audit_log WHERE message LIKE %s ORDER BY 1", f"%{run}%")
    assert [message for (message,) in rows] == [f"muttering: {run}", f"rsyslogd: {run}"]


def test_udp(appliance: Appliance, relay: Rsyslogd) -> None:
    run = run_name()
    relay.send_by_udp(lines(run, 1_000))
    wait_for(appliance, run, 1_000, 60)
    assert counted(appliance, run) == (1_000, 1_000)
    row = appliance.query("SELECT hostname, source, syslog_severity, attributes FROM event_audit_log LIMIT 1")[0]
    assert row[0].startswith("edge")
    assert row[1:3] == ("syslog", 5)
    assert (row[3]["facility"], row[3]["fromhost_ip"]) == ("local7", "127.0.0.1")


def test_a_restart_of_rsyslog_keeps_what_waits(appliance: Appliance, relay: Rsyslogd) -> None:
    """With MUTT well: what is queued goes to the disk and is sent after the start."""
    run, total = run_name(), 5_000
    relay.send(lines(run, total))
    relay.stop()
    relay.start()
    wait_for(appliance, run, total, 90)
    assert counted(appliance, run) == (total, total)


@pytest.mark.parametrize(("version", "unknown"), [((8, 2302), ""), ((8, 2404), "httpretrycodes"), ((8, 2510), "")])
def test_rsyslogd_reads_the_snippet(
    tmp_path: Path, omhttp: Path, key_file: Path, version: tuple[int, int], unknown: str
) -> None:
    """Both files. Of a later version's, all but the parameter that came with that version."""
    target = Relay(version, "http://127.0.0.1:8080", str(key_file))
    relay = Rsyslogd(tmp_path, omhttp, configuration(target), relay_part(target))
    checked = relay.check()
    errors = [line for line in checked.stderr.splitlines() if "error" in line]
    assert len(errors) == (2 if unknown else 0)
    assert all(f"parameter '{unknown}' not known" in line for line in errors)
