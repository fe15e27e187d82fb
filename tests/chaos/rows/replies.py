"""Replies of Redis that are lost on the way back: the command was carried out and its sender does not know."""

import os
import signal
import time

from mutt.redisdb import scripts
from tests.chaos.field import JANITOR_SECONDS, LEASE_SECONDS, Field, private_redis
from tests.chaos.trial import Trial
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

KINDS = {
    "PUSH": scripts.PUSH.sha,
    "CLAIM": scripts.CLAIM.sha,
    "SETTLE": scripts.SETTLE.sha,
    "PERMIT": scripts.PERMIT.sha,
    "RECORD": scripts.RECORD.sha,
    "PROMOTE": scripts.PROMOTE.sha,
    "HEARTBEAT": scripts.HEARTBEAT.sha,
    "SHED": scripts.SHED.sha,
    "BLMOVE": "BLMOVE",
    "JANITOR": scripts.JANITOR.sha,
}
"""Commands by what marks their request on the wire: a script is called by its digest."""

STRANDED_SECONDS = LEASE_SECONDS + JANITOR_SECONDS + 1.0
PROCESSING_SECONDS = 5.0
LOST_OF_EACH = 3

PRESSURE = {"moog_rate_limit": 1, "alerter_queue_warn_threshold": 5, "alerter_queue_shed_threshold": 5}
"""Dynamic settings under which a few alerts are too many."""


def lost_replies(trial: Trial) -> None:
    """Drops replies of each kind of command in turn, under load; nothing may be stranded by it."""
    server = private_redis()
    with TcpProxy(server.port) as proxy, trial.stage.special(server, REDIS_PORT=str(proxy.port)) as field:
        took = {kind: _lose(trial, field, proxy, kind) for kind in KINDS}
        trial.outcome.notes["replies lost"] = proxy.replies_lost
        trial.outcome.notes["seconds to rest"] = took
        trial.outcome.in_time("seconds to rest", max(took.values()), STRANDED_SECONDS + PROCESSING_SECONDS)
        trial.outcome.at_least("replies lost", proxy.replies_lost, LOST_OF_EACH * len(KINDS))
        trial.balance(field)


def _lose(trial: Trial, field: Field, proxy: TcpProxy, kind: str) -> float:
    """Seconds until everything was at rest, counted from the last event sent or the last reply lost."""
    number = max(100, trial.size.events // len(KINDS))
    lost_before = proxy.replies_lost
    if kind in ("PROMOTE", "RECORD"):
        field.behave(status=500, times=3)  # So that there are failures to record and retries to promote.
    if kind == "JANITOR":
        _leave_a_batch_behind(trial, field)
    if kind == "SHED":
        field.configure(**PRESSURE)
    proxy.drop_next_reply(KINDS[kind].encode(), LOST_OF_EACH)
    trial.finish(trial.load(field, events=number, batches=(1, 5, 20)))
    wait_until(
        lambda: proxy.replies_lost >= lost_before + LOST_OF_EACH, f"the replies to {kind} to be lost", seconds=30
    )
    field.configure(**dict.fromkeys(PRESSURE))
    started = time.monotonic()
    field.wait_until_at_rest(60)
    return round(time.monotonic() - started, 2)


def _leave_a_batch_behind(trial: Trial, field: Field) -> None:
    """Kills an alerter that has a batch in hand, for the janitor to find."""
    with field.locked_audit_log():
        load = trial.load(field, events=20, batches=(20,))
        load.join()
        pid = wait_until(
            lambda: next((pid for pid in field.workers_of("mutt-alerter") if field.in_hand(pid)), None), "a claim"
        )
        os.kill(pid, signal.SIGKILL)
