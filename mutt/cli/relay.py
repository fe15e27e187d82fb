"""What the snippets for rsyslog share: its versions, where MUTT is, and the action that sends there."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click

from mutt.cli.exits import USAGE, CliError

OLDEST = (8, 2102)
"""What RHEL 8 and 9 have; older ones have not been tried."""
LISTS_CODES = (8, 2404)
BEHAVES = (8, 2510)
DEFAULT_KEY_FILE = "/etc/rsyslog.d/mutt.key"

RETRIED = ("400", "401", "403", "404", "405", "408", "411", "413", "415", "421", "429", "500", "502", "503", "504")

ACTION = """\
server="{host}" serverport="{port}" usehttps="{https}"
{tls}restpath="api/v2/ingest/rsyslog"
httpheaderkey="X-API-KEY" httpheadervalue=`cat {key_file}`
# One message a request: in batches this module loses what a 503 refused.
batch="off"
{codes}# While MUTT is away messages wait, for ever if need be. From 2,000 on they go to the disk (workDirectory).
# The queue has room for many more, or else rsyslog's main queue would wait for it, and what waits there is lost when
# rsyslog is stopped. The disk has no limit set, as rsyslog throws messages away at a limit.
action.resumeRetryCount="-1" action.resumeInterval="1"
queue.type="LinkedList" queue.filename="{queue}" queue.saveOnShutdown="on"
queue.size="100000" queue.highWatermark="2000" queue.lowWatermark="1000"
# What a thread has in hand when rsyslog is stopped during an outage is lost: two messages each at most.
queue.workerThreads="{threads}" queue.dequeueBatchSize="1"
"""

_CODES = """\
# This version drops silently what it is answered with a code that is in neither list. MUTT itself only ever answers
# 202 and 503; the others may come from a proxy in between.
httpretrycodes=[{codes}]
"""


@dataclass(frozen=True, slots=True)
class Relay:
    """An rsyslog that is to send to MUTT. Files are those of its host; ``ca_file`` None means the system's CAs."""

    version: tuple[int, int]
    url: str
    key_file: str = DEFAULT_KEY_FILE
    ca_file: str | None = None
    cert_file: str | None = None
    cert_key_file: str | None = None

    def verify(self) -> None:
        """Raises CliError when rsyslog could not read a snippet made of this."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CliError(f"{self.url!r} is not an http:// or https:// URL", USAGE)
        for file in (self.key_file, self.ca_file, self.cert_file, self.cert_key_file):
            if file is not None and not re.fullmatch(r"/[A-Za-z0-9._/+-]+", file):
                raise CliError(f"{file!r} must be an absolute path without blanks or quotes", USAGE)
        if bool(self.cert_file) != bool(self.cert_key_file):
            raise CliError("a client certificate and its key belong together", USAGE)
        if parts.scheme == "http" and (self.ca_file or self.cert_file):
            raise CliError(f"certificates mean nothing to {self.url}, which is not https://", USAGE)

    @property
    def https(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (443 if self.https else 80)

    @property
    def family(self) -> str:
        """The versions that want the same snippet, in words."""
        if self.version < LISTS_CODES:
            return "8.2102 to 8.2403"
        return "8.2404 to 8.2509" if self.version < BEHAVES else "8.2510 on"

    def action(self, queue: str, threads: int, indent: int) -> str:
        """The parameters of an omhttp action that loses nothing with this version."""
        lists = LISTS_CODES <= self.version < BEHAVES
        text = ACTION.format(
            host=urlsplit(self.url).hostname,
            port=self.port,
            https="on" if self.https else "off",
            tls=self._tls(),
            key_file=self.key_file,
            queue=queue,
            threads=threads,
            codes=_CODES.format(codes=", ".join(f'"{code}"' for code in RETRIED)) if lists else "",
        )
        return "".join(" " * indent + line for line in text.splitlines(keepends=True))

    def _tls(self) -> str:
        files = {"tls.cacert": self.ca_file, "tls.mycert": self.cert_file, "tls.myprivkey": self.cert_key_file}
        named = [f'{name}="{file}"' for name, file in files.items() if file]
        return " ".join(named) + "\n" if named else ""


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor, from 8.2102.0-15.el8 and the like. Raises CliError for what nobody has tried."""
    found = re.match(r"v?(\d+)\.(\d+)", text.strip())
    if not found:
        raise CliError(f"--version {text!r} is not a version of rsyslog, like 8.2102.0", USAGE)
    parsed = int(found[1]), int(found[2])
    if parsed < OLDEST:
        raise CliError(f"rsyslog {text} is older than 8.2102, the oldest this is known to be safe for", USAGE)
    return parsed


def relay_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which rsyslog sends where."""
    options = (
        click.option("--url", help="Ingestor; by default the one beside the web UI."),
        click.option(
            "--key-file", default=DEFAULT_KEY_FILE, show_default=True, metavar="FILE",
            help="File with the ingest API key.",
        ),
        click.option(
            "--tls-ca-file", metavar="FILE", help="CA that signed the ingestor's certificate; else the system's."
        ),
        click.option("--tls-cert-file", metavar="FILE", help="Client certificate, where the ingestor asks for one."),
        click.option("--tls-key-file", metavar="FILE", help="The client certificate's key."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command
