"""The web UI that the tests of its API share."""

import pytest

from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis
from tests.support.web_ui import WebUIUnderTest


@pytest.fixture(scope="session")
def shared_web_ui(postgres_server: PrivatePostgres, redis_server: PrivateRedis) -> WebUIUnderTest:
    return WebUIUnderTest(redis_server, postgres_server)


@pytest.fixture
def web_ui(shared_web_ui: WebUIUnderTest) -> WebUIUnderTest:
    """The web UI with nothing in its stores."""
    shared_web_ui.empty()
    return shared_web_ui
