"""What lies in the queues and on the way out."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import redis

from mutt.admin.services.checks.finding import failed, ok, warning
from mutt.admin.shapes.overview import Finding
from mutt.credentials import Credentials
from mutt.errors import OutageError
from mutt.events.age import age_seconds
from mutt.moogsoft.client import WebhookClient
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.redisdb.dynamic_config import DynamicConfig
from mutt.redisdb.tally import counted_by_hour, hour_of
from mutt.settings import Host

NEAR_CAP_SHARE = 0.8
OLD_SECONDS = 300.0
"""An event that waits longer than this is one that somebody should have been paged for."""

WEBHOOK_SECONDS = 2.5


def check_queues(host: Host, client: redis.Redis) -> list[Finding]:
    """Depths, ages, dead letters, the circuit, and relays with a wrong key."""
    queues = host.queues
    dead = {queues.alerter_dlq: "alerter", queues.moog_dlq: "moog", keys.DLQ_INGEST: "ingest", keys.POISON: "poison"}
    lists = [queues.ingest_queue, queues.alert_queue, *dead]
    dynamic = DynamicConfig(client, enabled=True)
    try:
        if host.general.dynamic_config_enabled:
            dynamic.refresh()
        now = datetime.now(UTC)
        with outages():
            pipe = client.pipeline(transaction=False)
            for name in lists:
                pipe.llen(name)
            pipe.mget([keys.CIRCUIT_STATE, keys.CIRCUIT_OPENED_AT])
            for name in lists[:2]:
                pipe.lindex(name, -1)
            *depths, circuit, oldest_event, oldest_alert = pipe.execute()
        hour = hour_of(now.timestamp())
        wrong_keys = sum(counted_by_hour(client, keys.WRONG_RELAY_KEYS, [hour, hour - 1]))
    except (OutageError, redis.ResponseError) as outage:
        return [warning("queues", f"the queues cannot be read: {outage}", "see the findings about Redis")]
    depth = dict(zip(lists, depths, strict=True))
    return [
        _ingest_queue(depth[queues.ingest_queue], dynamic.integer("max_ingest_queue_size", host.ingest.max_queue_size)),
        _alert_queue(depth[queues.alert_queue], dynamic),
        _age("ingest queue", age_seconds(oldest_event, now), "mutt-alerter"),
        _age("alert queue", age_seconds(oldest_alert, now), "mutt-forwarder"),
        *_dead_letters(dead, depth),
        _circuit(*(value.decode() if value else "" for value in circuit)),
        _wrong_keys(wrong_keys),
    ]


def _ingest_queue(depth: int, cap: int) -> Finding:
    sentence = f"the ingest queue holds {depth:,} of at most {cap:,} events"
    fix = (
        "see why the alerter is behind: mutt-admin top; more processes: ALERTER_WORKERS in mutt.env; "
        f"more room meanwhile: mutt-admin config set max_ingest_queue_size {2 * cap}"
    )
    if depth >= cap:
        return failed("ingest queue", f"{sentence}: it is full and sources are told to wait", fix)
    if depth >= NEAR_CAP_SHARE * cap:
        return warning("ingest queue", f"{sentence}: it is nearly full", fix)
    return ok("ingest queue", sentence)


def _alert_queue(depth: int, dynamic: DynamicConfig) -> Finding:
    warn, shed = (dynamic.integer(f"alerter_queue_{each}_threshold") for each in ("warn", "shed"))
    sentence = f"the alert queue holds {depth:,} alerts"
    fix = (
        "see whether the webhook is slow: mutt-admin top; faster, if it may be: "
        "mutt-admin config set moog_rate_limit NUMBER"
    )
    if depth >= shed:
        return failed("alert queue", f"{sentence}; load is shed from {shed:,} on", fix)
    if depth >= warn:
        return warning("alert queue", f"{sentence}; {warn:,} is the threshold to warn at", fix)
    return ok("alert queue", sentence)


def _age(queue: str, seconds: float | None, program: str) -> Finding:
    if seconds is None or seconds <= OLD_SECONDS:
        return ok(
            queue, f"nothing waits in the {queue}" if seconds is None else f"its oldest entry is {seconds:.0f} s old"
        )
    return warning(
        queue, f"its oldest entry has waited for {seconds:.0f} s", f"see what {program} says in these findings"
    )


def _dead_letters(dead: Mapping[str, str], depth: Mapping[str, int]) -> list[Finding]:
    findings = [
        warning("dead letters", f"{name} holds {depth[name]:,} dead letters", f"mutt-admin dlq list {dead[name]}")
        for name in dead
        if depth[name]
    ]
    return findings or [ok("dead letters", "there are none")]


def _circuit(state: str, opened_at: str) -> Finding:
    if state in ("", "CLOSED"):
        return ok("circuit", "the circuit to the webhook is closed")
    since = ""
    if opened_at:
        moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(float(opened_at)))
        since = f" since {moment}"
    sentence = (
        f"the circuit to the webhook is {state}{since}: it failed five times in a row; alerts wait in their queue"
    )
    return failed("circuit", sentence, "see the finding about the webhook; once it works the circuit closes by itself")


def _wrong_keys(number: int) -> Finding:
    if not number:
        return ok("relays", "no relay has sent a wrong key this hour or the last")
    sentence = (
        f"relays sent a wrong key {number:,} times this hour and the last; they keep their messages until it is right"
    )
    return failed("relays", sentence, "put INGEST_API_KEY of the secrets into httpheaders of the relays' omhttp action")


def check_webhook(host: Host, credentials: Credentials) -> list[Finding]:
    """Whether the webhook's server answers."""
    webhook = host.webhook
    if not webhook.url:
        return [failed("webhook", "MOOG_WEBHOOK_URL is not set", "set MOOG_WEBHOOK_URL in mutt.env")]
    hurried = replace(webhook, timeout_seconds=min(webhook.timeout_seconds, WEBHOOK_SECONDS))
    where = webhook.url.partition("?")[0]
    if WebhookClient(hurried, credentials, connections=1).reachable():
        return [ok("webhook", f"{where} answers")]
    sentence = f"{where} does not answer within {hurried.timeout_seconds:g} s, or with a server error"
    return [failed("webhook", sentence, f"curl -i -X OPTIONS {where}; check MOOG_WEBHOOK_URL and MOOG_CA_CERT_PATH")]
