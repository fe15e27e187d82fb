"""A webhook that fails in every way it can: alerts wait, and only those it refuses for good are dead-lettered."""

import random
from typing import Any

import gevent

from mutt.errors import Reason
from mutt.redisdb import keys
from tests.chaos.faults import FORWARDERS
from tests.chaos.field import Field
from tests.chaos.processes import memory_mb
from tests.chaos.trial import Trial
from tests.support.waiting import wait_until

FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "429": {"status": 429, "retry_after": 1},
    "timeout": {"latency_ms": 4000, "status": 503},
    "dripping body": {"drip": True},
    "garbage": {"garbage": True},
    "302": {"redirect": "http://127.0.0.1:9/elsewhere"},
    "gzip bomb": {"gzip_bomb": True},
    "no answer": {"drop": True},
}
HARMLESS = ("gzip bomb",)
"""It comes with a 200: the alerts are delivered, if only nobody unpacks the answer."""

REFUSED_TEXT = "chaos-unwanted"
MEMORY_MB = 20.0
PROBES = 2
PROBE_MS = 400


def webhook(trial: Trial) -> None:
    """Each fault in turn under load, until the circuit opens; then the probe finds the webhook well again."""
    with trial.stage.standard() as field:
        trial.finish(trial.load(field, events=500))
        memory = Memory(field)
        for name, behaviour in FAULTS.items():
            _one_fault(trial, field, name, behaviour)
        _one_probe_at_a_time(trial, field)
        withheld = _withheld(trial, field)
        _refused(trial, field)
        trial.outcome.at_most("forwarder memory grown by MB", memory.grown_mb(), MEMORY_MB)
        stock, _ = trial.balance(field, withheld, with_letters=False)
        expected = dict.fromkeys(trial.ledger.poison, str(Reason.REFUSED_BY_RECEIVER))
        trial.outcome.check(
            "dead letters", stock.alert_letters == expected, len(stock.alert_letters), f"{len(expected)} refused alerts"
        )
        trial.outcome.none_of("dead events", len(stock.event_letters) + len(stock.poison))


def _one_fault(trial: Trial, field: Field, name: str, behaviour: dict[str, Any]) -> None:
    before = len(field.webhook_requests())
    field.behave(**behaviour)
    load = trial.load(field, events=300, rate=600, forward_share=0.8)
    wait_until(lambda: len(field.webhook_requests()) > before, f"requests to meet {name}", seconds=40)
    trial.finish(load)
    if name not in HARMLESS:
        wait_until(lambda: _circuit(field) == "OPEN", f"the circuit to open on {name}", seconds=40)
    field.behave()
    _let_it_be_probed(field)
    field.wait_until_at_rest(60, with_letters=False)


def _one_probe_at_a_time(trial: Trial, field: Field) -> None:
    """The circuit is open and two forwarders want to send: each time its minute is over exactly one request leaves."""
    field.behave(status=500, latency_ms=PROBE_MS)
    trial.finish(trial.load(field, events=300, rate=600, forward_share=0.8))
    wait_until(lambda: _circuit(field) == "OPEN", "the circuit to open", seconds=40)
    gevent.sleep(2 * PROBE_MS / 1000)
    probes = []
    for _ in range(PROBES):
        before, opened_at = len(field.webhook_requests()), field.redis().get(keys.CIRCUIT_OPENED_AT)
        _let_it_be_probed(field)
        wait_until(lambda at=opened_at: _reopened(field, at), "the probe to fail", seconds=20)
        gevent.sleep(3 * PROBE_MS / 1000)
        probes.append(len(field.webhook_requests()) - before)
    trial.outcome.check("requests while half open", probes == [1] * PROBES, probes, "1 in the whole fleet")
    field.behave()
    _let_it_be_probed(field)
    field.wait_until_at_rest(60, with_letters=False)


def _withheld(trial: Trial, field: Field) -> int:
    """The receiver takes alerts and its answers are lost; returns how many: they must come again."""
    before = len(field.webhook_requests())
    field.behave(withhold=True, times=3)
    trial.finish(trial.load(field, events=300))
    field.wait_until_at_rest(60, with_letters=False)
    alerts = sum(len(ids) for _, outcome, ids, _ in field.webhook_requests(before) if outcome == "withheld")
    trial.outcome.at_least("alerts whose answer was withheld", alerts, 1)
    return alerts


def _refused(trial: Trial, field: Field) -> None:
    """Some alerts are refused with a 400, among others that are not."""

    def decorate(event: dict[str, Any], rng: random.Random) -> str:
        if not event["message"].startswith("CRITICAL") or rng.random() > 0.1:
            return ""
        event["message"] += f" {REFUSED_TEXT}"
        return Reason.REFUSED_BY_RECEIVER

    field.behave(refuse_containing=REFUSED_TEXT)
    trial.finish(trial.load(field, events=500, decorate=decorate))
    field.wait_until_at_rest(60, with_letters=False)
    field.behave()


def _circuit(field: Field) -> str:
    return (field.redis().get(keys.CIRCUIT_STATE) or b"CLOSED").decode()


def _reopened(field: Field, opened_at: bytes) -> bool:
    return _circuit(field) == "OPEN" and field.redis().get(keys.CIRCUIT_OPENED_AT) not in (opened_at, b"0")


def _let_it_be_probed(field: Field) -> None:
    """As if the minute that an open circuit waits were over."""
    if _circuit(field) == "OPEN":
        field.redis().set(keys.CIRCUIT_OPENED_AT, "0")


class Memory:
    """The memory of the forwarders' workers, watched from now on."""

    def __init__(self, field: Field) -> None:
        self._pids = [pid for program in FORWARDERS for pid in field.workers_of(program)]
        self._before = {pid: memory_mb([pid]) for pid in self._pids}
        self._most = dict(self._before)
        self._watcher = gevent.spawn(self._watch)

    def grown_mb(self) -> float:
        """The largest growth of any worker so far. Ends the watch."""
        self._look()
        self._watcher.kill()
        return max(self._most[pid] - self._before[pid] for pid in self._pids)

    def _watch(self) -> None:
        while True:
            self._look()
            gevent.sleep(0.1)

    def _look(self) -> None:
        for pid in self._pids:
            self._most[pid] = max(self._most[pid], memory_mb([pid]))
