"""A primary, its replica and a Sentinel that promotes the replica when the primary is gone."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import redis

from tests.support.redis_server import PASSWORD, PrivateRedis, free_port, redis_program
from tests.support.waiting import wait_until

MASTER = "chaos"
DOWN_AFTER_MS = 1000


class RedisGroup:
    """Two servers and a Sentinel; ``client`` is one to whoever is the primary now."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-sentinel-"))
        self.servers = [PrivateRedis(masterauth=PASSWORD), PrivateRedis(masterauth=PASSWORD)]
        self.sentinel_port = free_port()
        self._sentinel: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        first, second = self.servers
        first.start()
        second.start()
        second.client().execute_command("REPLICAOF", "127.0.0.1", first.port)
        wait_until(lambda: self.replicas_in_sync(first) == 1, "the replica to be in sync", seconds=20)
        file = self.folder / "sentinel.conf"
        file.write_text(
            f"port {self.sentinel_port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {first.port} 1\n"
            f"sentinel auth-pass {MASTER} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {MASTER} 5000\n"
        )
        self._sentinel = subprocess.Popen(
            [redis_program(self.folder), str(file), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._knows_the_replica, "the Sentinel to know the replica", seconds=30)

    def stop(self) -> None:
        if self._sentinel:
            self._sentinel.kill()
            self._sentinel.wait()
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def port(self) -> int:
        return self.primary().port

    def primary(self) -> PrivateRedis:
        """The server that the Sentinel calls the primary."""
        found = self._ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(server for server in self.servers if server.port == int(found[1]))

    def client(self) -> redis.Redis:
        return self.primary().client()

    def replicas_in_sync(self, server: PrivateRedis) -> int:
        """Replicas that follow the server, by its own word."""
        found = server.client().info("replication")
        states = (found.get(f"slave{number}", {}).get("state") for number in range(found["connected_slaves"]))
        return sum(state == "online" for state in states)

    def _knows_the_replica(self) -> bool:
        try:
            return bool(self._ask("SENTINEL", "REPLICAS", MASTER))
        except redis.RedisError:
            return False

    def _ask(self, *words: str) -> list[bytes]:
        return list(redis.Redis(port=self.sentinel_port, protocol=2).execute_command(*words))
