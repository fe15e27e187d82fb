"""PostgreSQL: reachable, with the schema and the partitions that MUTT needs, and rules that can be used."""

from collections.abc import Mapping

from mutt.admin.services.checks.finding import clock, failed, ok, warning
from mutt.admin.shapes.overview import Finding
from mutt.errors import MuttError, OutageError, Reason
from mutt.rules.rule import build_snapshot
from mutt.settings import Host
from mutt.store import condition, migrations, rules
from mutt.store.condition import Condition
from mutt.store.migrations import State
from mutt.store.pool import Database

CHECK = "postgresql"
SHOWN_RULES = 5


def check_postgres(host: Host, database: Database) -> list[Finding]:
    """Whether PostgreSQL can be used, and the condition of what lies in it."""
    try:
        found = database.run(condition.look)
    except MuttError as error:
        return [
            failed(CHECK, f"PostgreSQL at {host.database.host}:{host.database.port}: {error}", _way_in(host, error))
        ]
    answers = f"PostgreSQL at {host.database.host}:{host.database.port} answers (version {found.version})"
    findings = [ok(CHECK, answers), *_schema(found), clock(CHECK, "PostgreSQL", found.clock_ahead_seconds)]
    if not found.default_rows:
        return findings
    return [*findings, *_partitions(found), *_default_rows(found.default_rows)]


def _psql(host: Host, statement: str) -> str:
    where = f"-h {host.database.host} -p {host.database.port} -U {host.database.user} -d {host.database.name}"
    return f'psql {where} -c "{statement}"'


def _way_in(host: Host, error: MuttError) -> str:
    if isinstance(error, OutageError) and error.reason is Reason.NO_CREDENTIALS:
        return "see the finding about the secrets"
    if "password" in str(error):
        return (
            f"put the password of {host.database.user} into the secret DB_PASS_CURRENT (DB_PASS_NEXT while it is being "
            f"changed); to see which one is right: {_psql(host, 'SELECT 1')}"
        )
    return f"systemctl start postgresql on its host; then from here: {_psql(host, 'SELECT 1')}"


def _schema(found: Condition) -> list[Finding]:
    problems = [problem for entry in found.migrations if (problem := migrations.problem_with(entry))]
    if problems:
        return [failed("schema", problem, "mutt-admin db status") for problem in problems]
    pending = [migrations.label(entry) for entry in found.migrations if entry.state is State.PENDING]
    if pending:
        return [failed("schema", f"migrations are pending: {', '.join(pending)}", "mutt-admin db migrate")]
    return [ok("schema", f"the schema is the one this program needs (version {found.migrations[-1].version})")]


def _partitions(found: Condition) -> list[Finding]:
    if not found.missing_partitions:
        return [ok("partitions", "this month and the next one have their partitions")]
    sentence = f"partitions are missing: {', '.join(found.missing_partitions)}; their rows go to the default partition"
    return [failed("partitions", sentence, "mutt-admin upkeep partitions")]


def _default_rows(rows: Mapping[str, int]) -> list[Finding]:
    findings = []
    for partition, number in rows.items():
        if number:
            fix = "mutt-admin upkeep default-partition"
            count = f"{number} rows" if number <= 1000 else "more than 1000 rows"
            findings.append(warning("partitions", f"{count} lie in {partition}, which is never dropped", fix))
    return findings or [ok("partitions", "the default partitions are empty")]


def check_rules(database: Database) -> list[Finding]:
    """Whether there are active rules, and those that cannot be used."""
    try:
        rows, _, _ = rules.load(database)
    except MuttError as error:
        return [warning("rules", f"the rules cannot be read: {error}", "see the findings about PostgreSQL")]
    if not rows:
        sentence = "no rule is active: every event is only logged, nobody is paged"
        return [warning("rules", sentence, "mutt-admin rules apply FILE, or add one on the dashboard")]
    unusable = build_snapshot([rules.as_rule(row) for row in rows]).unusable
    findings = [
        failed("rules", f"rule {rule_id} is skipped: {problem}", f"mutt-admin rules show {rule_id}, then correct it")
        for rule_id, problem in list(unusable.items())[:SHOWN_RULES]
    ]
    return findings or [ok("rules", f"{len(rows)} rules are active and can be used")]
