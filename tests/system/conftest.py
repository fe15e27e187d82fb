"""The running appliance that the system tests share."""

from collections.abc import Iterator

import pytest

from tests.support.appliance import Appliance
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis

SETTINGS = {
    "UNHANDLED_THRESHOLD": "20",
    "MUTT_SHUTDOWN_TIMEOUT": "5",
    "MUTT_STALL_SECONDS": "6",
    "MOOG_RATE_LIMIT": "400",
    "MOOG_RETRY_BASE_DELAY": "0.1",
    "MOOG_MAX_RETRIES": "3",
    "REMEDIATION_SCAN_INTERVAL": "0.5",
    "REMEDIATION_BACKOFF_BASE": "1",
    "REMEDIATION_MAX_RETRIES": "2",
    "INGEST_MAX_BODY_BYTES": "4000000",
    "INGEST_MAX_UNPACKED_BYTES": "8000000",
}


@pytest.fixture(scope="session")
def running_appliance(postgres_server: PrivatePostgres) -> Iterator[Appliance]:
    redis_server = PrivateRedis()
    redis_server.start()
    appliance = Appliance(redis_server, postgres_server, **SETTINGS)
    try:
        appliance.start()
        yield appliance
    finally:
        appliance.stop()
        redis_server.stop()


@pytest.fixture
def appliance(running_appliance: Appliance) -> Iterator[Appliance]:
    """The appliance at rest: nothing queued, audited or received, the webhook well."""
    running_appliance.reset()
    yield running_appliance
    running_appliance.behave()
