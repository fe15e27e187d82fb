"""TLS on every side: sources to the ingestor, the ingestor to Redis."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support import syslog
from tests.support.appliance import INGEST_KEY, Appliance
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis, free_port
from tests.support.waiting import wait_until


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem and certificates for 127.0.0.1 and for a client, each with its key."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = (
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=test CA",
    )
    openssl(folder, *ca, "-addext", "keyUsage=critical,keyCertSign")
    for name in ("server", "client"):
        (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl(
            folder,
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            "csr",
            "-subj",
            f"/CN={name}",
        )
        signing = ("x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        openssl(folder, *signing, "-out", f"{name}.pem", "-extfile", "ext")
    return folder


@pytest.fixture
def guarded(postgres_server: PrivatePostgres, certificates: Path) -> Iterator[Appliance]:
    """An appliance whose ingestor asks for client certificates and whose Redis speaks nothing but TLS to it."""
    redis_server = PrivateRedis(
        **{
            "tls-port": str(free_port()),
            "tls-cert-file": str(certificates / "server.pem"),
            "tls-key-file": str(certificates / "server.key"),
            "tls-ca-cert-file": str(certificates / "ca.pem"),
        }
    )
    redis_server.start()
    appliance = Appliance(
        redis_server, postgres_server,
        REDIS_TLS_ENABLED="true", REDIS_PORT=redis_server.option("tls-port"),
        REDIS_CA_CERT_PATH=str(certificates / "ca.pem"), REDIS_CLIENT_CERT_PATH=str(certificates / "client.pem"),
        REDIS_CLIENT_KEY_PATH=str(certificates / "client.key"),
        SERVER_TLS_CERT_PATH=str(certificates / "server.pem"), SERVER_TLS_KEY_PATH=str(certificates / "server.key"),
        SERVER_TLS_CLIENT_CA_PATH=str(certificates / "ca.pem"),
    )  # fmt: skip
    appliance.start_program("mutt-ingestor")
    yield appliance
    appliance.stop()
    redis_server.stop()


def test_an_event_travels_over_tls_with_client_certificates(guarded: Appliance, certificates: Path) -> None:
    url = guarded.ingest_url.replace("http://", "https://")
    trusted = requests.Session()
    # A CA bundle named by the environment would replace the one given here.
    trusted.trust_env = False
    trusted.verify = str(certificates / "ca.pem")
    trusted.cert = (str(certificates / "client.pem"), str(certificates / "client.key"))

    def healthy() -> bool:
        try:
            return trusted.get(f"{url}/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    wait_until(healthy, "the ingestor to be healthy over TLS", seconds=30)
    answer = trusted.post(f"{url}/ingest", json=syslog.event("x"), headers={"X-API-KEY": INGEST_KEY}, timeout=10)
    assert answer.status_code == 202
    assert guarded.redis().llen("mutt:ingest_queue") == 1

    stranger = requests.Session()
    stranger.trust_env = False
    stranger.verify = str(certificates / "ca.pem")
    with pytest.raises(requests.RequestException):
        stranger.get(f"{url}/health", timeout=5)
    with pytest.raises(requests.RequestException):
        requests.get(f"{guarded.ingest_url}/health", timeout=5)

    # One line for each of the two, and nothing for whoever only looks whether the port is open.
    socket.create_connection(("127.0.0.1", guarded.ports["SERVER_PORT_INGESTOR"]), timeout=5).close()
    wait_until(lambda: "HTTP_REQUEST" in guarded.log("mutt-ingestor"), "the line about plain HTTP")
    log = guarded.log("mutt-ingestor")
    failures = [line for line in log.splitlines() if "TLS handshake" in line]
    assert len(failures) == 2
    assert all("client=127.0.0.1" in line for line in failures)
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in failures[0]
    assert "Traceback" not in log
