"""What all tests share. The whole suite runs gevent-patched, like the programs it tests."""

from mutt import gevent_patch  # noqa: F401 - must come first

from collections.abc import Iterator

import pytest
import redis
import structlog

from tests.support.postgres import postgres_server
from tests.support.redis_server import PrivateRedis

__all__ = ["postgres_server"]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A program that configures logging in a test must not do so for the tests after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[PrivateRedis]:
    """A Redis of the tests' own, started once."""
    server = PrivateRedis()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_client(redis_server: PrivateRedis) -> Iterator[redis.Redis]:
    """A plain client to an empty Redis."""
    client = redis_server.client()
    client.flushall()
    yield client
    client.close()
