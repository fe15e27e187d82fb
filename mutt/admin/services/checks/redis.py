"""Redis: reachable, writable, persistent, with room."""

import time
from typing import Any

import redis

from mutt.admin.services.checks.finding import clock, failed, ok, warning
from mutt.admin.shapes.overview import Finding
from mutt.errors import OutageError, Reason
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.settings import Host

NEARLY_FULL_SHARE = 0.8
CHECK = "redis"


def check_redis(host: Host, client: redis.Redis) -> list[Finding]:
    """What Redis says of itself, and whether it takes a write."""
    try:
        with outages():
            began = time.time()
            seconds, microseconds = client.time()
            ahead = seconds + microseconds / 1e6 - (began + time.time()) / 2
            info: dict[str, Any] = client.info()
    except OutageError as outage:
        return [failed(CHECK, f"{where(host)}: {outage}", _way_in(host, outage))]
    connected = ok(CHECK, f"{where(host)} answers (version {info.get('redis_version', 'unknown')})")
    return [
        connected,
        _takes_writes(client),
        _policy(info),
        _room(info),
        *_persistence(info),
        clock(CHECK, "Redis", ahead),
    ]


def where(host: Host) -> str:
    """How people call this Redis."""
    if host.redis.sentinel_hosts:
        return f"Redis {host.redis.sentinel_master} (by Sentinel)"
    return f"Redis at {host.redis.host}:{host.redis.port}"


def _way_in(host: Host, outage: OutageError) -> str:
    cli = f"redis-cli -h {host.redis.host} -p {host.redis.port}{' --tls' if host.redis.tls_enabled else ''}"
    if "password" in str(outage):
        return (
            "put the password that Redis has into the secret REDIS_PASS_CURRENT (REDIS_PASS_NEXT while it is being "
            f"changed); to see which one is right: {cli} --askpass ping"
        )
    if outage.reason is Reason.NO_CREDENTIALS:
        return "see the finding about the secrets"
    return f"systemctl start redis on its host; then from here: {cli} --askpass ping"


def _takes_writes(client: redis.Redis) -> Finding:
    try:
        with outages():
            client.set(keys.DOCTOR_PROBE, "1", px=1000)
    except OutageError as outage:
        fixes = {
            Reason.REDIS_READONLY: "let REDIS_HOST name the primary, or set REDIS_SENTINEL_HOSTS and "
            "REDIS_SENTINEL_MASTER; to make this one the primary: redis-cli REPLICAOF NO ONE",
            Reason.REDIS_FULL: "give it more memory (redis-cli CONFIG SET maxmemory ...) or disk (df -h), or empty the "
            "dead letters: mutt-admin dlq lists",
        }
        return failed(CHECK, f"it takes no writes: {outage}", fixes.get(outage.reason, "redis-cli INFO replication"))
    return ok(CHECK, "it takes writes")


def _policy(info: dict[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok(CHECK, "maxmemory-policy is noeviction")
    sentence = f"maxmemory-policy is {policy}: when memory runs out Redis throws queued events away"
    return failed(CHECK, sentence, "redis-cli CONFIG SET maxmemory-policy noeviction && redis-cli CONFIG REWRITE")


def _room(info: dict[str, Any]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        fix = (
            "redis-cli CONFIG SET maxmemory 4gb && redis-cli CONFIG REWRITE, with some two thirds of the host's memory"
        )
        return warning(CHECK, "maxmemory is not set: a long backlog can take all memory of its host", fix)
    sentence = f"{used / most:.0%} of its memory is used ({used / 1e6:.0f} of {most / 1e6:.0f} MB)"
    if used < NEARLY_FULL_SHARE * most:
        return ok(CHECK, sentence)
    fix = "redis-cli CONFIG SET maxmemory to more, or see what fills the queues: mutt-admin top"
    return warning(CHECK, sentence, fix)


def _persistence(info: dict[str, Any]) -> list[Finding]:
    fix = "redis-cli CONFIG SET appendonly yes && redis-cli CONFIG REWRITE"
    if not int(info.get("aof_enabled", 0)):
        sentence = "appendonly is off: a restart of Redis loses what is queued"
        return [failed(CHECK, sentence, fix)]
    if info.get("aof_last_write_status", "ok") != "ok":
        return [failed(CHECK, "its last write to the append-only file failed", "df -h on its host; then see its log")]
    return [ok(CHECK, "the append-only file is on and written")]
