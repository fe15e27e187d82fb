"""The snippet with TLS: the CA is checked, the client certificate shown, and nothing goes to a stranger."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutt.cli.relay import Relay
from mutt.cli.rsyslog_snippet import configuration
from tests.sources.conftest import MakeRelay
from tests.sources.relay import lines
from tests.support.appliance import Appliance
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, another CA nobody knows, and server and client certificates with their keys."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for ca in ("ca", "stranger"):
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.pem",
            "-subj", f"/CN=test {ca}", "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}")
        openssl(
            "x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-extfile", "ext",
        )  # fmt: skip
    return folder


@pytest.fixture
def guarded(postgres_server: PrivatePostgres, certificates: Path) -> Iterator[Appliance]:
    """An ingestor that speaks TLS and asks for client certificates; its queue is as far as events go here."""
    redis_server = PrivateRedis()
    redis_server.start()
    appliance = Appliance(
        redis_server, postgres_server,
        SERVER_TLS_CERT_PATH=str(certificates / "server.pem"), SERVER_TLS_KEY_PATH=str(certificates / "server.key"),
        SERVER_TLS_CLIENT_CA_PATH=str(certificates / "ca.pem"),
    )  # fmt: skip
    appliance.start_program("mutt-ingestor")
    yield appliance
    appliance.stop()
    redis_server.stop()


def snippet(appliance: Appliance, key_file: Path, certificates: Path, ca: str, client: bool = True) -> str:
    url = f"https://127.0.0.1:{appliance.ports['SERVER_PORT_INGESTOR']}"
    files = (str(certificates / "client.pem"), str(certificates / "client.key")) if client else (None, None)
    return configuration(Relay((8, 2302), url, str(key_file), str(certificates / ca), *files))


def test_messages_wait_for_the_right_certificates(
    guarded: Appliance, make_relay: MakeRelay, key_file: Path, certificates: Path
) -> None:
    queue = guarded.redis()
    relay = make_relay(snippet(guarded, key_file, certificates, "ca.pem"))
    relay.send(lines("tls", 300))
    wait_until(lambda: queue.llen("mutt:ingest_queue") == 300, "300 messages in MUTT's queue", seconds=60)

    for wrong in (snippet(guarded, key_file, certificates, "stranger.pem"),
                  snippet(guarded, key_file, certificates, "ca.pem", client=False)):  # fmt: skip
        other = make_relay(wrong)
        other.send(lines("waits", 1))
        wait_until(lambda each=other: "server failure" in each.log(), "a refused connection", seconds=30)
        other.stop()
    assert queue.llen("mutt:ingest_queue") == 300
