"""The programs of the host: whether each runs and what it says of itself."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import requests
import urllib3

from mutt.admin.services.checks.finding import failed, ok, warning
from mutt.admin.shapes.overview import Finding
from mutt.settings import Host

TIMEOUT_SECONDS = 2.5
MOST_ANSWER_BYTES = 64 * 1024
WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104 - what a program listens on, not what we do
IN_ORDER = re.compile(r"connected|\d+ working")
NOT_CHECKS = ("status", "timestamp", "version", "service", "queue_depth")
CONTROL = "/usr/lib/mutt/bin/supervisorctl -c /etc/mutt/supervisord.conf"


class Place(NamedTuple):
    """Where a program answers /health."""

    name: str
    scheme: str
    address: str
    port: int


def places(host: Host, address: str | None = None) -> list[Place]:
    """All programs; ``address`` is where they are asked, when not where the settings say that they listen."""
    scheme = "https" if host.server.tls_cert_path else "http"
    apps = address or _reachable(host.server.bind_address)
    workers = address or _reachable(host.monitoring.bind_address)
    return [
        Place("mutt-ingestor", scheme, apps, host.ingest.port),
        Place("mutt-webui", scheme, apps, host.webui.port),
        Place("mutt-alerter", "http", workers, host.alerter.health_port),
        Place("mutt-forwarder", "http", workers, host.forwarder.health_port),
        Place("mutt-remediation", "http", workers, host.remediation.health_port),
    ]


def _reachable(bind_address: str) -> str:
    return "127.0.0.1" if bind_address in WILDCARDS else bind_address


def check_program(place: Place) -> list[Finding]:
    """What /health of the program says."""
    start = f"{CONTROL} start {place.name}; why it stopped: journalctl -u mutt -g {place.name}"
    try:
        status, body = _ask(place)
    except requests.exceptions.SSLError as error:
        sentence = f"it serves TLS and does not talk to us ({_cause(error)}); its health was not looked at"
        return [
            warning(place.name, sentence, f"curl --cert CERT --key KEY https://{place.address}:{place.port}/health")
        ]
    except (requests.RequestException, OSError, ValueError) as error:
        return [
            failed(place.name, f"it does not run: no answer from {place.address}:{place.port} ({_cause(error)})", start)
        ]
    if body.get("service") != place.name:
        sentence = f"something else than {place.name} answers on {place.address}:{place.port}"
        return [failed(place.name, sentence, f"ss -ltnp 'sport = :{place.port}', then change one of the two ports")]
    if status == 200:
        return [ok(place.name, "it runs and is healthy")]
    return [
        failed(
            place.name, f"it is unhealthy: {_reasons(body)}", f"mend that; to see it try: {CONTROL} tail {place.name}"
        )
    ]


def _ask(place: Place) -> tuple[int, Mapping[str, Any]]:
    with requests.Session() as session:
        session.trust_env = False
        # The certificate names the host as others know it and we ask this very host; whether it is valid is looked at
        # in its file.
        session.verify = False
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        url = f"{place.scheme}://{place.address}:{place.port}/health"
        with session.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True) as response:
            content = response.raw.read(MOST_ANSWER_BYTES, decode_content=True)
            body = msgspec.json.decode(content)
    return response.status_code, body if isinstance(body, dict) else {}


def _reasons(body: Mapping[str, Any]) -> str:
    reasons = [
        f"{name}: {said}"
        for name, said in body.items()
        if isinstance(said, str) and name not in NOT_CHECKS and not IN_ORDER.fullmatch(said)
    ]
    if isinstance(body.get("queue_depth"), str):
        reasons.append(f"queue_depth: {body['queue_depth']}")
    return "; ".join(reasons) or "it does not say why"


def _cause(error: BaseException) -> str:
    for words in ("Connection refused", "timed out", "certificate required", "No route to host", "handshake failure"):
        if words in str(error):
            return words.lower()
    return type(error).__name__
