"""No room left: Redis at maxmemory, and the disk of its append-only file full."""

import os
import subprocess
from pathlib import Path

import gevent

from tests.chaos.field import Field
from tests.chaos.load import Load
from tests.chaos.rows.probing import probe
from tests.chaos.trial import SkipError, Trial
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

ROOM_BYTES = 3_000_000
"""Memory that is left when the limit is set: a few thousand events."""

DISK_MB = 32


def maxmemory(trial: Trial) -> None:
    """Redis reaches maxmemory while PostgreSQL is stuck; once it works again the queues must drain unaided."""
    with trial.stage.standard() as field:
        client = field.redis()
        try:
            with field.locked_audit_log():
                client.config_set("maxmemory", client.info("memory")["used_memory"] + ROOM_BYTES)
                load = trial.load(field, events=10_000_000, rate=3 * trial.size.rate, patience=(1, 2, 3))
                _wait_until_refused(load)
            load.stop()
            trial.note_answers(load)
            # Still at the limit: what drains must not need room first.
            trial.outcome.notes["seconds to drain at the limit"] = round(field.wait_until_at_rest(60), 1)
            probe(trial, field)
        finally:
            client.config_set("maxmemory", 0)
        _close(trial, field, load)


def aof_disk_full(trial: Trial) -> None:
    """The disk of the append-only file runs full and has room again later."""
    server = RedisOnSmallDisk()
    with trial.stage.special(server.started()) as field:
        load = trial.load(field, events=10_000_000, patience=(1, 2, 3))
        gevent.sleep(1.0)
        server.fill()
        _wait_until_refused(load)
        gevent.sleep(1.0)
        taken = load.answers["202"]
        server.make_room()
        wait_until(lambda: load.answers["202"] > taken + 20, "events to be taken again", seconds=30)
        load.stop()
        trial.note_answers(load)
        probe(trial, field)
        field.wait_healthy(30)
        _close(trial, field, load)


def _wait_until_refused(load: Load) -> None:
    """Returns when the load has met its first 503s because Redis is full."""
    while load.answers["503 redis_full"] < 20:
        assert load.offered < 200_000, f"200,000 events and Redis is not full: {dict(load.answers)}"
        gevent.sleep(0.05)


def _close(trial: Trial, field: Field, load: Load) -> None:
    told = {answer for answer in load.answers if answer not in ("202", "503 unknown", "503 redis_full")}
    trial.outcome.check("reasons given", not told, sorted(told) or "redis_full", "redis_full or unknown")
    stock, _ = trial.balance(field)
    trial.outcome.none_of("dead letters", len(stock.event_letters) + len(stock.alert_letters) + len(stock.poison))


class RedisOnSmallDisk(PrivateRedis):
    """A server whose folder is a file system of DISK_MB in memory; only root can make one."""

    def started(self) -> "RedisOnSmallDisk":
        if os.geteuid() != 0 or self._mount("-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(self.folder)):
            super().stop()
            raise SkipError("a small file system can only be mounted by root")
        self.start()
        return self

    def fill(self) -> None:
        """Leaves no room for the next write."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return

    def make_room(self) -> None:
        self._filler.unlink()

    def stop(self) -> None:
        self.kill()
        subprocess.run(["umount", str(self.folder)], check=False)
        super().stop()

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def _mount(self, *arguments: str) -> int:
        return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode
