"""A real Redis of the tests' own: private, on a free port, killed when the tests say so."""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import redis

from mutt.redisdb.client import connect
from mutt.settings import RedisSettings
from tests.support.waiting import wait_until

PASSWORD = "private-redis-password"


class FixedCredentials:
    """Secrets that the test names itself."""

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets

    def get(self, name: str) -> str | None:
        return self.secrets.get(name)

    def candidates(self, name: str) -> tuple[str, ...]:
        names = (f"{name}_CURRENT", f"{name}_NEXT") if name.endswith("_PASS") else (name, f"{name}_NEXT")
        return tuple(dict.fromkeys(self.secrets[each] for each in names if self.secrets.get(each)))

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def refresh(self) -> None: ...

    def age_seconds(self) -> float | None:
        return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def redis_program(folder: Path) -> str:
    """redis-server, or the binary of Debian's redis-tools, which is one when it is called so."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    link = folder / "redis-server"
    if not link.exists():
        link.symlink_to(shutil.which("redis-check-rdb") or "/usr/bin/redis-check-rdb")
    return str(link)


class PrivateRedis:
    """One server with append-only file and password. ``options`` are directives of redis.conf."""

    def __init__(self, **options: str) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-redis-"))
        self._options = {"appendonly": "yes", "appendfsync": "everysec", "save": "", **options}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), "requirepass": PASSWORD}
        arguments = [part for name, value in {**settings, **self._options}.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [redis_program(self.folder), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self.answers, "Redis to answer", seconds=20)

    def option(self, name: str) -> str:
        """The value of a directive it was made with."""
        return self._options[name]

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """As a power cut for the process: SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=PASSWORD, protocol=2)

    def settings(self) -> RedisSettings:
        return RedisSettings(host="127.0.0.1", port=self.port, tls_enabled=False)

    def mutt_client(self) -> redis.Redis:
        """A client made the way the programs make theirs."""
        return connect(self.settings(), FixedCredentials(REDIS_PASS_CURRENT=PASSWORD), "tests", blocking_seconds=1)
