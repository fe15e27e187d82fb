"""A client that connects to a TLS port and says nothing."""

import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import structlog
from gevent.server import StreamServer

from mutt.web import tls
from tests.support.waiting import wait_until


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=test",
        "-keyout",
        key,
        "-out",
        cert,
    ]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def test_a_handshake_that_does_not_begin_ends_with_one_line(
    context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.2)
    served: list[object] = []
    server = StreamServer(
        ("127.0.0.1", 0), lambda *each: served.append(each), ssl_context=tls.tls_context(None, lambda: context)
    )
    server.start()
    try:
        with structlog.testing.capture_logs() as lines:
            with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as silent:
                assert silent.recv(1) == b""
            wait_until(lambda: lines, "the line")
    finally:
        server.stop(timeout=1)
    assert [(each["event"], each["problem"]) for each in lines] == [("TLS handshake failed", "not done within 0.2 s")]
    assert served == []
    assert capfd.readouterr().err == ""
