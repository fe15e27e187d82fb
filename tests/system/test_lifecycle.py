"""Starting, stopping, reloading and surviving: each program as a process, each dependency taken away."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import syslog
from tests.support.appliance import PROGRAMS, Appliance
from tests.support.waiting import wait_until

WORKERS = ("mutt-alerter", "mutt-forwarder", "mutt-remediation")


def children(pid: int) -> list[int]:
    """Ids of the processes that ``pid`` started and that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_healthy(appliance: Appliance, program: str) -> None:
    wait_until(lambda: appliance.health(program)[0] == 200, f"{program} to be healthy", seconds=30)


@pytest.mark.parametrize("program", PROGRAMS)
def test_sigterm_ends_a_program_and_all_its_processes(appliance: Appliance, program: str) -> None:
    process = appliance.process(program)
    family = [process.pid, *children(process.pid)]
    process.terminate()
    assert process.wait(timeout=20) == 0
    wait_until(lambda: not any(map(is_running, family)), "its processes to end")
    appliance.start_program(program)
    wait_healthy(appliance, program)


@pytest.mark.parametrize("program", WORKERS)
def test_a_killed_worker_process_is_restarted(appliance: Appliance, program: str) -> None:
    (child,) = children(appliance.process(program).pid)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: children(appliance.process(program).pid) not in ([], [child]), "another process", seconds=20)
    wait_healthy(appliance, program)


def test_a_worker_does_not_outlive_its_killed_parent(appliance: Appliance) -> None:
    process = appliance.process("mutt-alerter")
    (child,) = children(process.pid)
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(child), "the orphan to stop", seconds=20)
    appliance.start_program("mutt-alerter")
    wait_healthy(appliance, "mutt-alerter")


def test_what_a_killed_worker_had_claimed_is_done_by_the_next(appliance: Appliance) -> None:
    """The batch is in hand while PostgreSQL's row is locked; then the worker is killed."""
    appliance.query("SELECT 1")
    events = [syslog.event(f"CRITICAL: in hand {n}") for n in range(200)]
    with appliance.locked_audit_log():
        appliance.post(events)
        wait_until(lambda: list(appliance.redis().scan_iter("mutt:processing:alerter:*")), "the claim")
        (child,) = children(appliance.process("mutt-alerter").pid)
        os.kill(child, signal.SIGKILL)
    wait_healthy(appliance, "mutt-alerter")
    appliance.wait_until_idle(30)
    assert appliance.audited() == 200
    assert len(appliance.received()) == 200
    assert appliance.metric("METRICS_PORT_ALERTER", "mutt_queue_returned_messages_total") >= 200


def test_a_paused_worker_is_fenced_and_nothing_is_done_twice(appliance: Appliance) -> None:
    (child,) = children(appliance.process("mutt-alerter").pid)
    with appliance.locked_audit_log():
        appliance.post([syslog.event(f"CRITICAL: paused {n}") for n in range(50)])
        wait_until(lambda: list(appliance.redis().scan_iter("mutt:processing:alerter:*")), "the claim")
        os.kill(child, signal.SIGSTOP)
        # A second worker, as on another host, whose janitor takes the batch when the lease has run out.
        other = subprocess.Popen(
            [sys.executable, "-m", "mutt.workers", "mutt-alerter"],
            env=appliance.environ | appliance.other_ports(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: appliance.health("mutt-alerter")[0] == 503, "the silence to be noticed", seconds=20)
        wait_until(lambda: appliance.claimed_by_others(child), "the other to take over", seconds=30)
    wait_until(lambda: appliance.audited() == 50, "the rows", seconds=20)
    os.kill(child, signal.SIGCONT)
    fenced = "mutt_queue_fenced_batches_total"
    wait_until(lambda: appliance.metric("METRICS_PORT_ALERTER", fenced) >= 1, "the fence", seconds=20)
    other.terminate()
    other.wait(timeout=20)
    appliance.wait_until_idle()
    assert appliance.audited() == 50
    assert len(appliance.received()) == 50
    wait_healthy(appliance, "mutt-alerter")


def test_sighup_reloads_rules_and_secrets(appliance: Appliance) -> None:
    appliance.query("INSERT INTO development_hosts (hostname) VALUES ('hup-1') RETURNING id")
    appliance.process("mutt-alerter").send_signal(signal.SIGHUP)
    line = "mutt_alerter_cache_dev_hosts_count"
    wait_until(lambda: appliance.metric("METRICS_PORT_ALERTER", line) == 1, "the reload", seconds=10)


def test_postgres_away_pauses_and_loses_nothing(appliance: Appliance) -> None:
    appliance.postgres.stop()
    try:
        sent = [syslog.event(f"CRITICAL: meanwhile {n}") for n in range(100)]
        assert appliance.post(sent).json()["accepted"] == 100
        status, health = wait_until(
            lambda: (h := appliance.health("mutt-alerter"))[0] == 503 and h, "health to say so", seconds=20
        )
        assert status == 503
        assert "cannot connect to database" in health["postgres"]
        assert appliance.health("mutt-forwarder")[0] == 200
    finally:
        appliance.postgres.start()
    wait_until(lambda: appliance.audited() == 100, "the rows after the outage", seconds=30)
    wait_until(lambda: len(appliance.received()) == 100, "the alerts", seconds=20)
    assert appliance.redis().llen("mutt:dlq:alerter") == 0
    wait_healthy(appliance, "mutt-alerter")


def test_redis_killed_under_load_loses_nothing(appliance: Appliance) -> None:
    accepted: list[str] = []
    stop = threading.Event()

    def feed() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            event = syslog.event(f"CRITICAL: load {number}")
            answer = appliance.post(event)
            assert answer.status_code in (202, 503), answer.text
            if answer.status_code == 202:
                accepted.append(event["correlation_id"])

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for _ in range(2):
            before = len(accepted)
            wait_until(lambda before=before: len(accepted) > before + 50, "load to be taken", seconds=20)
            appliance.redis_server.kill()
            _, health = wait_until(
                lambda: (h := appliance.health("mutt-ingestor"))[0] == 503 and h, "health to say so", seconds=10
            )
            assert "Redis" in health["redis"]
            appliance.redis_server.start()
    finally:
        stop.set()
        feeder.join()
    wait_healthy(appliance, "mutt-ingestor")
    wait_until(appliance.is_idle, "the queues to drain", seconds=40, every=0.2)
    audited = {row[0] for row in appliance.query("SELECT correlation_id::text FROM event_audit_log")}
    received = {alert["external_id"] for alert in appliance.received()}
    assert set(accepted) <= audited
    assert audited == received
    assert appliance.redis().llen("mutt:dlq:alerter") + appliance.redis().llen("mutt:dlq:moog") == 0


def test_the_audit_log_being_slow_does_not_stop_a_worker_from_stopping(appliance: Appliance) -> None:
    with appliance.locked_audit_log():
        appliance.post(syslog.event("CRITICAL: slow"))
        wait_until(lambda: list(appliance.redis().scan_iter("mutt:processing:alerter:*")), "the claim")
        process = appliance.process("mutt-alerter")
        process.terminate()
        assert process.wait(timeout=30) == 0
    appliance.start_program("mutt-alerter")
    wait_until(lambda: appliance.audited() == 1, "the row", seconds=30)
    wait_until(lambda: len(appliance.received()) == 1, "the alert", seconds=10)
    wait_healthy(appliance, "mutt-alerter")


@pytest.mark.parametrize("program", PROGRAMS)
def test_mistakes_in_the_settings_are_all_named_and_end_with_78(appliance: Appliance, program: str) -> None:
    module, _ = PROGRAMS[program]
    done = subprocess.run(
        [sys.executable, "-m", module, *([program] if module == "mutt.workers" else [])],
        env={**appliance.environ, "LOG_LEVEL": "loud", "REDIS_PORT": "0", "MOOG_WEBHOK_URL": "x"},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 78
    for expected in ("LOG_LEVEL='loud': must be one of", "REDIS_PORT='0'", "did you mean MOOG_WEBHOOK_URL?"):
        assert expected in done.stderr


def test_a_second_start_of_a_program_is_refused(appliance: Appliance) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mutt.workers", "mutt-remediation"],
        env=appliance.environ, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, "is already running" in done.stderr) == (1, True)


def test_a_taken_port_is_named(appliance: Appliance) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mutt.workers", "mutt-remediation"],
        env={**appliance.environ, "MUTT_RUN_DIR": str(appliance.folder / "third-run")},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"port={appliance.ports['HEALTH_PORT_REMEDIATION']}" in done.stdout


def test_a_worker_that_finishes_nothing_says_so(appliance: Appliance) -> None:
    with appliance.locked_audit_log():
        appliance.post(syslog.event("CRITICAL: stuck"))
        status, health = wait_until(
            lambda: (h := appliance.health("mutt-alerter"))[0] == 503 and h, "the stall to be noticed", seconds=20
        )
        assert (status, "the work in hand has taken" in health["workers"]) == (503, True)
        assert appliance.metric("METRICS_PORT_ALERTER", "mutt_worker_stalled") == 1
    wait_healthy(appliance, "mutt-alerter")
