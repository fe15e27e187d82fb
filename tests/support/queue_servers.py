"""Fixtures that run the queue's tests on every server at hand; a test module takes them in with ``pytest_plugins``.

Redis is always there. Valkey joins when ``valkey-server`` is on PATH, and whatever MUTT_TEST_REDIS_PROGRAM names (say,
the redis-server of an older release) joins too.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import redis

from tests.support.redis_server import PASSWORD, PrivateRedis
from tests.support.waiting import wait_until


class ProgramRedis(PrivateRedis):
    """A server whose program the test chooses."""

    def __init__(self, program: str, **options: str) -> None:
        super().__init__(**options)
        self._program = program

    def start(self) -> None:
        settings = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), "requirepass": PASSWORD}
        arguments = [part for name, value in {**settings, **self._options}.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self._program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self.answers, f"{self._program} to answer", seconds=20)


PROGRAMS = {"redis": None, "valkey": shutil.which("valkey-server"), "named": os.environ.get("MUTT_TEST_REDIS_PROGRAM")}
"""The program of each kind of server; for ``redis`` the fixture redis_server knows it."""


@pytest.fixture(scope="session", params=[kind for kind, program in PROGRAMS.items() if kind == "redis" or program])
def queue_server(request: pytest.FixtureRequest) -> Iterator[PrivateRedis]:
    """A running server, of each kind in turn."""
    program = PROGRAMS[request.param]
    if program is None:
        yield request.getfixturevalue("redis_server")
        return
    server = ProgramRedis(program)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def queue_client(queue_server: PrivateRedis) -> Iterator[redis.Redis]:
    """A client to an empty server, made the way the programs make theirs."""
    client = queue_server.mutt_client()
    client.flushall()
    yield client
    client.config_set("maxmemory", 0)
    client.close()
