"""Writes rpm/share/rsyslog and rpm/share/snmptrapd anew: python rpm/snippets.py, in an environment with MUTT.

They are what `mutt-admin rsyslog-snippet` and `snmptrapd-snippet` print, with placeholders for the address. They are
kept because a build for another processor cannot run these commands; a test says when they are out of date.
"""

from collections.abc import Iterator
from pathlib import Path

from mutt.cli.relay import Relay, parse_version
from mutt.cli.rsyslog_snippet import configuration
from mutt.cli.snmptrapd_snippet import daemon_part, relay_part

SHARE = Path(__file__).parent / "share"
VERSIONS = ("8.2102", "8.2404", "8.2510")
"""The first of each family of versions that want the same."""

URL = "https://mutt.example.com:8080"
DAEMON_FILES = {
    "snmptrapd.conf": "snmptrapd.conf",
    "snmptrapd.service.d-mutt.conf": "service",
    "logrotate-mutt-snmptrapd": "logrotate",
}


def snippets() -> Iterator[tuple[Path, str]]:
    """Every file with its content."""
    for version in VERSIONS:
        relay = Relay(parse_version(version), URL)
        yield SHARE / f"rsyslog/30-mutt-{version}.conf", configuration(relay)
        yield SHARE / f"snmptrapd/40-mutt-snmp-{version}.conf", relay_part(relay)
    for name, part in DAEMON_FILES.items():
        yield SHARE / f"snmptrapd/{name}", daemon_part(part)


if __name__ == "__main__":
    for file, content in snippets():
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
