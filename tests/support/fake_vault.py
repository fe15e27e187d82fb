"""A stand-in for HashiCorp Vault: a process of its own, real TLS, a clock of its own that tests can advance.

It knows AppRole login, KV version 2 reads, token lookup, renewal capped at the max TTL, expiry, 403 and the
sealed state's 503, and answers as Vault does. ``FakeVault`` starts it and steers it over ``/control/...`` on
the same port. Being another process it serves plain and gevent-patched tests alike; it imports only the
standard library.
"""

import dataclasses
import http.client
import http.server
import json
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, NoReturn


@dataclasses.dataclass
class Token:
    created_at: float
    expires_at: float


class VaultError(Exception):
    """An answer other than 200, as ``status`` and the ``errors`` that Vault lists."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status, errors)
        self.status = status
        self.errors = errors


@dataclasses.dataclass
class Vault:
    """What the stand-in knows, what a test may change in it and what it answers."""

    role_id: str
    secret_ids: list[str]
    secrets: dict[str, Any]
    path: str = "secret/mutt"
    token_ttl: float = 3600.0
    token_max_ttl: float = 14400.0
    renewable: bool = True
    sealed: bool = False
    read_allowed: bool = True
    ahead_seconds: float = 0.0
    tokens: dict[str, Token] = dataclasses.field(default_factory=dict)
    counts: dict[str, int] = dataclasses.field(
        default_factory=lambda: {"logins": 0, "lookups": 0, "renewals": 0, "reads": 0, "refused": 0}
    )
    misbehaviour: str = ""

    # --- controls ---

    def set(self, **values: Any) -> None:
        for name, value in values.items():
            if name not in self.__dataclass_fields__:
                raise VaultError(400, f"no such control: {name}")
            setattr(self, name, value)

    def advance(self, seconds: float) -> None:
        """Lets time pass, in the stand-in only."""
        self.ahead_seconds += seconds

    def revoke_all(self) -> None:
        self.tokens.clear()

    def report(self) -> dict[str, Any]:
        ttls = [token.expires_at - self._now() for token in self.tokens.values()]
        return {**self.counts, "tokens": list(self.tokens), "ttls": sorted(ttls)}

    # --- what a client asks ---

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.sealed:
            raise VaultError(503, "Vault is sealed")
        mount, _, name = self.path.partition("/")
        if (method, path) == ("POST", "/v1/auth/approle/login"):
            return self._login(body)
        holder = self._holder(token)
        if (method, path) == ("GET", "/v1/auth/token/lookup-self"):
            return self._lookup(holder)
        if (method, path) == ("POST", "/v1/auth/token/renew-self"):
            return self._renew(token, holder)
        if (method, path) == ("POST", "/v1/auth/token/revoke-self"):
            del self.tokens[token]
            return {}
        if not self.read_allowed:
            self._refuse(403, "1 error occurred:\n\t* permission denied\n\n")
        if (method, path) == ("GET", f"/v1/{mount}/data/{name}"):
            return self._read()
        raise VaultError(404)

    def _login(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("role_id") != self.role_id or body.get("secret_id") not in self.secret_ids:
            self._refuse(400, "invalid role or secret ID")
        self.counts["logins"] += 1
        token = f"hvs.{token_urlsafe(24)}"
        self.tokens[token] = Token(self._now(), self._now() + min(self.token_ttl, self.token_max_ttl))
        return self._auth(token)

    def _lookup(self, holder: Token) -> dict[str, Any]:
        self.counts["lookups"] += 1
        return {"data": {"ttl": int(holder.expires_at - self._now()), "renewable": self.renewable}}

    def _renew(self, token: str, holder: Token) -> dict[str, Any]:
        if not self.renewable:
            self._refuse(400, "lease is not renewable")
        self.counts["renewals"] += 1
        holder.expires_at = min(self._now() + self.token_ttl, holder.created_at + self.token_max_ttl)
        return self._auth(token)

    def _read(self) -> dict[str, Any]:
        self.counts["reads"] += 1
        return {"data": {"data": self.secrets, "metadata": {"version": 1, "destroyed": False}}}

    def _auth(self, token: str) -> dict[str, Any]:
        ttl = int(self.tokens[token].expires_at - self._now())
        return {"auth": {"client_token": token, "lease_duration": ttl, "renewable": self.renewable}}

    def _holder(self, token: str) -> Token:
        holder = self.tokens.get(token)
        if holder is None or holder.expires_at <= self._now():
            self.tokens.pop(token, None)
            self._refuse(403, "permission denied")
        return holder

    def _refuse(self, status: int, error: str) -> NoReturn:
        self.counts["refused"] += 1
        raise VaultError(status, error)

    def _now(self) -> float:
        return time.monotonic() + self.ahead_seconds


CONTROLS = {"set", "advance", "revoke_all", "report"}


class Handler(http.server.BaseHTTPRequestHandler):
    """HTTP for ``Vault``; ``vault`` and ``lock`` are set by ``serve``."""

    vault: Vault
    lock: threading.Lock
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body leave in one write: apart, each answer waits 40 ms for a delayed ACK.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, *_: object) -> None:
        """Says nothing: standard error belongs to the test."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if self.path.startswith("/control/"):
            self._control(self.path.removeprefix("/control/"), json.loads(raw or b"{}"))
        elif self.vault.misbehaviour:
            getattr(self, f"_misbehave_{self.vault.misbehaviour}")(raw)
        else:
            self._as_vault(json.loads(raw or b"{}"))

    def _control(self, name: str, arguments: dict[str, Any]) -> None:
        if name not in CONTROLS:
            return self._send(404, {"errors": [f"no such control: {name}"]})
        with self.lock:
            result = getattr(self.vault, name)(**arguments)
        return self._send(200, {"result": result})

    def _as_vault(self, body: dict[str, Any]) -> None:
        token = self.headers.get("X-Vault-Token", "")
        try:
            with self.lock:
                answer = self.vault.answer(self.command, self.path, token, body)
        except VaultError as error:
            self._send(error.status, {"errors": list(error.errors)})
        else:
            self._send(200, answer)

    def _send(self, status: int, document: Any, **headers: str) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # --- ways to be wrong ---

    def _misbehave_redirect(self, _: bytes) -> None:
        self._send(307, {}, Location=f"https://{self.headers['Host']}/control/redirected")

    def _misbehave_echo(self, raw: bytes) -> None:
        """A broken proxy that quotes the whole request, secrets and all, in its error."""
        self._send(502, {"errors": [f"{self.headers} {raw.decode()}"]})

    def _misbehave_other_json(self, raw: bytes) -> None:
        self._send(200, {"auth": None, "data": raw.decode(), "you_sent": str(self.headers)})

    def _misbehave_list(self, raw: bytes) -> None:
        """JSON, but not even an object: hvac stumbles over it."""
        self._send(500, [raw.decode(), str(self.headers)])

    def _misbehave_drip(self, _: bytes) -> None:
        """A body that never ends, though each read of it soon brings something."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            self.close_connection = True


def serve() -> None:
    """Runs the stand-in as the JSON on standard input says; prints its port; ends with standard input."""
    arguments = json.loads(sys.stdin.readline())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.pop("cert"), arguments.pop("key"))
    Handler.lock = threading.Lock()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.pop("port")), Handler)
    server.daemon_threads = True
    Handler.vault = Vault(**arguments)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # The end of the test process, however it ends, closes it.


class FakeVault:
    """The handle a test holds: starts, steers and stops the stand-in.

    ``cert`` and ``key`` are its PEM files, good for 127.0.0.1; ``ca`` is the certificate that signed them.
    The port stays the same over ``stop`` and ``start``; tokens and counts are lost, as with a dev server.
    """

    def __init__(self, ca: Path, cert: Path, key: Path, port: int = 0, **vault: Any) -> None:
        self.ca, self._cert, self._key, self.port = ca, cert, key, port
        self._vault = vault
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> "FakeVault":
        arguments = {"cert": str(self._cert), "key": str(self._key), "port": self.port, **self._vault}
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        self.port = int(self._process.stdout.readline())
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def set(self, **values: Any) -> None:
        """Changes what ``Vault`` knows, for example ``sealed=True`` or ``secret_ids=[...]``."""
        self._control("set", values)

    def advance(self, seconds: float) -> None:
        self._control("advance", {"seconds": seconds})

    def revoke_all(self) -> None:
        self._control("revoke_all", {})

    def report(self) -> dict[str, Any]:
        """Counts of logins, lookups, renewals, reads and refusals, the living tokens and their TTLs."""
        report: dict[str, Any] = self._control("report", {})
        return report

    def _control(self, name: str, arguments: dict[str, Any]) -> Any:
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        try:
            connection.request("POST", f"/control/{name}", json.dumps(arguments))
            answer = connection.getresponse()
            body = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{name}: HTTP {answer.status} {body}")
        return body["result"]


if __name__ == "__main__":
    serve()
