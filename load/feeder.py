"""Sends sample syslog to the ingest API, a burst first, then a few events a second, until it is stopped.

``INGEST_API_KEY=... python -m load.feeder --url http://127.0.0.1:8080 [--rate 3]``. Like a relay it keeps what was
not taken: anything but a 202 is said in the log and the same events are sent again.
"""

import argparse
import os
import random
import sys
import time
from typing import Any

import requests

from load import samples


def main() -> int:
    parser = argparse.ArgumentParser(description="Sends sample syslog to MUTT.")
    parser.add_argument("--url", required=True, help="address of the ingest API, without the path")
    parser.add_argument("--rate", type=float, default=3.0, help="events a second after the first burst")
    options = parser.parse_args()
    session = requests.Session()
    session.trust_env = False  # A proxy of the surroundings knows nothing of our loopback.
    session.headers["X-API-KEY"] = os.environ.get("INGEST_API_KEY", "")
    endpoint = f"{options.url.rstrip('/')}/api/v2/ingest"
    chance = random.Random()
    send(session, endpoint, samples.burst(chance))
    while True:
        send(session, endpoint, [samples.one(chance)])
        time.sleep(1 / options.rate)


def send(session: requests.Session, endpoint: str, events: list[dict[str, Any]], pause_seconds: float = 1.0) -> None:
    """Returns when the events have been accepted."""
    while not _try(session, endpoint, events):
        time.sleep(pause_seconds)


def _try(session: requests.Session, endpoint: str, events: list[dict[str, Any]]) -> bool:
    try:
        answer = session.post(endpoint, json=events, timeout=15, allow_redirects=False)
    except requests.RequestException as error:
        _say(f"not sent: {error}")
        return False
    if answer.status_code != 202:
        _say(f"not taken: {answer.status_code} {answer.text[:300]}")
        return False
    return True


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
