"""A running appliance, and a browser at its dashboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.appliance import WEBUI_KEY, Appliance
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis

pytest.importorskip("selenium", reason="selenium is not installed")

from tests.browser.chromium import Browser, programs

SETTINGS = {
    "UNHANDLED_THRESHOLD": "1000",
    "MUTT_SHUTDOWN_TIMEOUT": "5",
    "MOOG_RETRY_BASE_DELAY": "0.1",
    # Remediation stays out of the way: a person replays here.
    "REMEDIATION_BACKOFF_BASE": "3600",
}


@pytest.fixture(scope="session")
def running_appliance(postgres_server: PrivatePostgres) -> Iterator[Appliance]:
    chromium, chromedriver = programs()
    if chromium is None or chromedriver is None:
        missing = "chromium" if chromium is None else "chromedriver"
        pytest.skip(f"{missing} is not installed (Debian: apt-get install chromium chromium-driver)")
    redis_server = PrivateRedis()
    redis_server.start()
    appliance = Appliance(redis_server, postgres_server, **SETTINGS)
    try:
        appliance.start()
        yield appliance
    finally:
        appliance.stop()
        redis_server.stop()


@pytest.fixture(scope="session")
def running_browser(running_appliance: Appliance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    profile: Path = tmp_path_factory.mktemp("chromium")
    browser = Browser(running_appliance.admin_url, profile)
    yield browser
    browser.driver.quit()


@pytest.fixture
def appliance(running_appliance: Appliance) -> Appliance:
    running_appliance.reset()
    return running_appliance


@pytest.fixture
def browser(appliance: Appliance, running_browser: Browser) -> Iterator[Browser]:
    """Logged in, in light colours; a console with an error in it fails the test."""
    running_browser.width(1400)
    running_browser.prefer("light")
    running_browser.log_in(WEBUI_KEY)
    running_browser.complaints()
    yield running_browser
    assert running_browser.complaints() == []
