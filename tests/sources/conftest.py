"""Real sources in front of the real appliance. Where their programs are missing, the tests are skipped and say why."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mutt.cli.relay import Relay
from mutt.cli.rsyslog_snippet import configuration
from tests.sources.relay import Rsyslogd
from tests.support.appliance import INGEST_KEY, Appliance
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis

CHECKOUT = Path(__file__).parents[2]
SETTINGS = {"MUTT_SHUTDOWN_TIMEOUT": "5", "MOOG_RATE_LIMIT": "100000", "UNHANDLED_THRESHOLD": "1000000"}

MakeRelay = Callable[..., Rsyslogd]


@pytest.fixture(scope="session")
def omhttp() -> Path:
    """The folder with the omhttp module for the rsyslogd of this machine, built when it is not in var/omhttp."""
    if not shutil.which("rsyslogd"):
        pytest.skip("rsyslogd is missing (apt-get install rsyslog)")
    command = [str(CHECKOUT / "tests/sources/omhttp.sh"), str(CHECKOUT / "var/omhttp")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        pytest.skip(f"omhttp cannot be built here: {done.stderr.strip()[-300:]}")
    return Path(done.stdout.strip())


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
def appliance(running_appliance: Appliance) -> Appliance:
    """The appliance at rest: nothing queued, audited or received."""
    running_appliance.reset()
    return running_appliance


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file with the right key, without a line break."""
    file = tmp_path / "mutt.key"
    file.touch(mode=0o600)
    file.write_text(INGEST_KEY)
    return file


@pytest.fixture
def make_relay(tmp_path: Path, omhttp: Path) -> Iterator[MakeRelay]:
    """Makes and starts an rsyslogd with the given files; all are stopped afterwards."""
    made: list[Rsyslogd] = []

    def make(*files: str, extra: str = "") -> Rsyslogd:
        relay = Rsyslogd(tmp_path / f"rsyslog{len(made)}", omhttp, *files, extra=extra)
        made.append(relay)
        relay.start()
        return relay

    yield make
    for relay in made:
        relay.kill()


@pytest.fixture
def snippet(appliance: Appliance, key_file: Path) -> str:
    """What ``mutt-admin rsyslog-snippet`` prints for this appliance and the rsyslog that RHEL 8 and 9 have."""
    return configuration(Relay((8, 2302), appliance.ingest_url, str(key_file)))


@pytest.fixture
def relay(make_relay: MakeRelay, snippet: str) -> Rsyslogd:
    """An rsyslogd that sends to the appliance as the snippet says."""
    return make_relay(snippet)
