"""``mutt-admin rsyslog-snippet``: an omhttp configuration that loses nothing with the given version of rsyslog."""

import re
from urllib.parse import urlsplit

import click

from mutt.cli.exits import USAGE, CliError
from mutt.cli.options import Session
from mutt.cli.output import say

OLDEST = (8, 2102)
"""What RHEL 8 and 9 have; older ones have not been tried."""
LISTS_CODES = (8, 2404)
BEHAVES = (8, 2510)

RETRIED = ("400", "401", "403", "404", "405", "408", "411", "413", "415", "421", "429", "500", "502", "503", "504")

TEMPLATE = """\
# {title}
# The API key is in {key_file} and not here. Write it without a line break, for root alone:
#   install -m 0600 /dev/null {key_file} && printf %s "$KEY" > {key_file}
# rsyslog reads it at its start and runs as root then; restart rsyslog when the key changes. A file that cannot be
# read is an empty key: MUTT answers 503 to it, and rsyslog keeps the messages until that is mended.
{selinux}
module(load="omhttp")

template(name="mutt" type="list" option.jsonf="on") {{
    property(outname="timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="hostname" name="hostname" format="jsonf")
    property(outname="syslog_severity" name="syslogseverity" format="jsonf" dataType="number")
    property(outname="source" name="$!mutt_source" format="jsonf")
    property(outname="message" name="$!mutt_message" format="jsonf")
    property(outname="facility" name="syslogfacility-text" format="jsonf")
    property(outname="fromhost_ip" name="fromhost-ip" format="jsonf")
}}

ruleset(name="to_mutt") {{
    set $!mutt_source = "syslog";
    # A Cisco mnemonic (%LINK-3-UPDOWN:) may land in the tag: the tag and the message together are what rules see.
    set $!mutt_message = $syslogtag & $msg;
    action(
        type="omhttp"
        name="mutt"
        server="{host}" serverport="{port}" usehttps="{https}"
        restpath="api/v2/ingest/rsyslog"
        httpheaderkey="X-API-KEY" httpheadervalue=`cat {key_file}`
        template="mutt"
        # One message a request: in batches this module loses what a 503 refused.
        batch="off"
{codes}        # While MUTT is away messages wait, for ever if need be; many go to the disk (global workDirectory),
        # without a limit, as rsyslog throws messages away at a limit.
        action.resumeRetryCount="-1" action.resumeInterval="1"
        queue.type="LinkedList" queue.filename="mutt" queue.saveOnShutdown="on"
        # Whatever is in hand when rsyslog is stopped during an outage is lost: 16 messages a thread at most.
        queue.workerThreads="4" queue.dequeueBatchSize="16"
    )
}}

call to_mutt
"""

_CODES = """\
        # This version drops silently what it is answered with a code that is in neither list. MUTT itself only ever
        # answers 202 and 503; the others may come from a proxy in between.
        httpretrycodes=[{codes}]
"""


@click.command("rsyslog-snippet")
@click.option("--version", "version", required=True, metavar="8.YYMM", help="Of rsyslogd, as `rsyslogd -v` says.")
@click.option("--url", help="Ingestor; by default the one beside the web UI.")
@click.option("--key-file", default="/etc/rsyslog.d/mutt.key", show_default=True, help="File with the ingest API key.")
@click.pass_obj
def rsyslog_snippet(session: Session, version: str, url: str | None, key_file: str) -> None:
    """Print an omhttp configuration that is safe for the version of rsyslog, for /etc/rsyslog.d.

    The key does not stand in it: rsyslog reads it from the file.
    """
    click.echo(snippet(parse_version(version), url or session.connection.ingest_url, key_file), nl=False)
    say(f"write the key of INGEST_API_KEY into {key_file}, check with `rsyslogd -N1`, then restart rsyslog")


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor, from 8.2102.0-15.el8 and the like. Raises CliError for what nobody has tried."""
    found = re.match(r"v?(\d+)\.(\d+)", text.strip())
    if not found:
        raise CliError(f"--version {text!r} is not a version of rsyslog, like 8.2102.0", USAGE)
    parsed = int(found[1]), int(found[2])
    if parsed < OLDEST:
        raise CliError(f"rsyslog {text} is older than 8.2102, the oldest this is known to be safe for", USAGE)
    return parsed


def snippet(version: tuple[int, int], url: str, key_file: str) -> str:
    """The configuration. Raises CliError when rsyslog could not read it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CliError(f"{url!r} is not an http:// or https:// URL", USAGE)
    if not re.fullmatch(r"/[A-Za-z0-9._/+-]+", key_file):
        raise CliError(f"{key_file!r} must be an absolute path without blanks or quotes", USAGE)
    https = parts.scheme == "https"
    port = parts.port or (443 if https else 80)
    lists = LISTS_CODES <= version < BEHAVES
    return TEMPLATE.format(
        title=_title(version),
        key_file=key_file,
        host=parts.hostname,
        port=port,
        https="on" if https else "off",
        selinux=_selinux(port),
        codes=_CODES.format(codes=", ".join(f'"{code}"' for code in RETRIED)) if lists else "",
    )


def _title(version: tuple[int, int]) -> str:
    family = "8.2102 to 8.2403" if version < LISTS_CODES else "8.2404 to 8.2509" if version < BEHAVES else "8.2510 on"
    return f"Sends all messages to MUTT; for rsyslog {family}, made by mutt-admin rsyslog-snippet."


def _selinux(port: int) -> str:
    if port in (443, 8443, 9000):
        return ""
    return (
        f"# SELinux keeps rsyslog from port {port}: semanage port -a -t syslogd_port_t -p tcp {port} "
        "(or -m, when the port has a type)."
    )
