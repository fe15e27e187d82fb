"""rsyslog straight into PostgreSQL (ompgsql), with as many filters as there are rules: a daemon of its own."""

import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

from load.bench import end_to_end, traffic
from load.bench.comparisons.pairs import ENVIRONMENTS, absent, compare
from load.bench.effort import Effort
from load.bench.figures import Figure
from load.bench.rig import Rig, free_port
from load.bench.settings import PIPELINE
from load.stack.console import StackError, run_logged
from mutt.rules.rule import MatchType

PART = "rsyslog into PostgreSQL"
RULES, BATCH, CONNECTIONS = 200, 500, 4
LINES_A_SECOND = 8_000
"""Roughly what it takes here; how many lines are sent follows from it."""

TABLE = """
DROP TABLE IF EXISTS rsyslog_events;
CREATE TABLE rsyslog_events (
    id BIGSERIAL, received_at TIMESTAMPTZ, hostname TEXT, severity SMALLINT, message TEXT, rule_id INTEGER
);
CREATE INDEX rsyslog_events_hostname ON rsyslog_events (hostname, received_at DESC);
CREATE INDEX rsyslog_events_time ON rsyslog_events (received_at DESC);
"""


def measure(rig: Rig, effort: Effort) -> list[Figure]:
    part = f"{PART}, {RULES} filters (memory queue, no webhook; against all of MUTT)"
    daemon = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    try:
        module = _module()
    except StackError as error:
        return absent(part, str(error).splitlines()[0])
    if daemon is None:
        return absent(part, "rsyslogd is not on this machine")
    seconds = min(effort.seconds, 8.0)
    return compare(
        part, lambda: _ours(rig, seconds), lambda: _theirs(rig, daemon, module, seconds), effort.repeats, "events/s"
    )


def _ours(rig: Rig, seconds: float) -> tuple[float, float]:
    with rig.running(*PIPELINE):
        passed = end_to_end.passage(rig, seconds, BATCH, CONNECTIONS)
    return passed.sustained, passed.costs.per_event(passed.outcome.events, *PIPELINE, "redis", "postgres")


def _theirs(rig: Rig, daemon: str, module: Path, seconds: float) -> tuple[float, float]:
    rig.query(TABLE)
    port, lines = free_port(), int(seconds * LINES_A_SECOND)
    configuration = rig.layout.var / "rsyslog.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(_configuration(rig, module, port))
    command = [daemon, "-n", "-f", str(configuration), "-i", str(rig.layout.var / "rsyslog.pid")]
    content = _lines(lines)
    rig.start("rsyslog", command, os.environ)
    try:
        rig.wait("rsyslog", lambda: _listens(port))
        spent = rig.spent()
        with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
            connection.sendall(content)
        rig.wait("rsyslog", lambda: _stored(rig) >= lines, 120)
        costs = spent.stop()
    finally:
        rig.stop_service("rsyslog")
    return lines / costs.seconds, costs.per_event(lines, "rsyslog", "postgres")


def _stored(rig: Rig) -> int:
    return int(rig.query("SELECT count(*) FROM rsyslog_events")[0][0])


def _lines(number: int) -> bytes:
    stamp = time.strftime("%b %e %H:%M:%S")
    made = [
        f"<{8 * 23 + int(event['syslog_severity'])}>{stamp} {event['hostname']} {event['message']}\n"
        for event, _ in traffic.events(min(number, 5000), random.Random(1))
    ]
    return "".join(made[index % len(made)] for index in range(number)).encode()


def _configuration(rig: Rig, module: Path, port: int) -> str:
    """The filters are tried in the rules' order until one fits, as the rules are."""
    filters = []
    for index, rule in enumerate(sorted(traffic.rules(RULES), key=lambda each: -each.priority)):
        text = str(rule.match_string).replace("\\", "\\\\").replace('"', '\\"')
        fits = f'$rawmsg contains "{text}"' if rule.match_type == MatchType.CONTAINS else f're_match($rawmsg, "{text}")'
        filters.append(f'{"if" if index == 0 else "else if"} {fits} then {{ set $.rule = "{index + 1}"; }}')
    row = (
        "INSERT INTO rsyslog_events (received_at, hostname, severity, message, rule_id) VALUES ("
        "'%timegenerated:::date-rfc3339%', '%hostname%', %syslogseverity%, '%msg%', nullif('%$.rule%', '')::integer)"
    )
    database = f'server="127.0.0.1" port="{rig.db_port}" user="mutt_user" pass="{rig.password}" db="mutt_db"'
    queue = 'queue.type="linkedList" queue.size="2000000" queue.dequeueBatchSize="2048"'
    lines = [
        'module(load="imptcp" threads="1")', f'module(load="{module}")',
        f'input(type="imptcp" address="127.0.0.1" port="{port}")',
        f'template(name="row" type="string" option.stdsql="on" string="{row}")',
        'set $.rule = "";', *filters,
        f'action(type="ompgsql" template="row" {database} {queue})',
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _module() -> Path:
    """ompgsql of Debian's package rsyslog-pgsql: the system's, or one unpacked below var/, which installs nothing."""
    folder = ENVIRONMENTS / "rsyslog-pgsql"
    for root in (Path("/"), folder):
        for found in root.glob("usr/lib/*/rsyslog/ompgsql.so"):
            return found
    if not shutil.which("apt-get"):
        raise StackError("the package rsyslog-pgsql is not installed, and there is no apt-get to fetch it")
    folder.mkdir(parents=True, exist_ok=True)
    run_logged(["apt-get", "download", "rsyslog-pgsql"], ENVIRONMENTS / "rsyslog-pgsql.log", cwd=folder)
    package = next(iter(folder.glob("rsyslog-pgsql_*.deb")))
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    return next(iter(folder.glob("usr/lib/*/rsyslog/ompgsql.so")))
