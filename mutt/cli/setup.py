"""``mutt-admin setup``: from an installed package to the first event that reached the webhook."""

import os
import secrets
import socket
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import click

from mutt import settings, settings_template
from mutt.admin.services.checks.programs import places
from mutt.cli import setup_answers, setup_files, setup_service
from mutt.cli.config import find_problems
from mutt.cli.connection import Connection, env_file
from mutt.cli.exits import CHANGES, UNHEALTHY, CliError
from mutt.cli.options import Session
from mutt.cli.output import say
from mutt.cli.send_test import send_test
from mutt.cli.setup_answers import Values
from mutt.cli.setup_servers import Servers, servers
from mutt.credentials import Credentials
from mutt.errors import ConfigurationError

API_KEYS = ("INGEST_API_KEY", "WEBUI_API_KEY")
TEST_MESSAGE = "MUTT test event, sent by mutt-admin setup: disk full"
"""One of the example rules makes a ticket of it, so that it goes all the way without paging anybody."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written: the files as they shall be, what is new in them, and the keys made for the occasion."""

    env_file: Path
    env_content: str
    settings: Values
    secrets_file: Path | None
    secrets_content: str
    secrets: Values
    """All of them, as the file is going to hold them."""
    new_secrets: tuple[str, ...]
    keys: Values
    vault_secret_id: str | None

    @property
    def changes(self) -> bool:
        return bool(self.settings or self.new_secrets or self.vault_secret_id or self.exposed)

    @property
    def exposed(self) -> bool:
        """Whether the secrets lie open to every user of this host, which the programs refuse to read."""
        return self.secrets_file is not None and setup_files.is_exposed(self.secrets_file)


@click.command()
@click.option(
    "--answers", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="TOML or YAML with settings: and secrets:, VARIABLE = value, and vault_secret_id.",
)  # fmt: skip
@click.option(
    "--etc-dir", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="Folder of mutt.env and secrets/. [default: that of MUTT_ENV_FILE, or /etc/mutt]",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Look at everything, write nothing; exit code 3 when there is work.")
@click.option("--start/--no-start", default=True, help="Enable and start the service.", show_default=True)
@click.option("--test/--no-test", default=None, help="Send a test event. [default: when something was changed]")
@click.option("--test-message", default=TEST_MESSAGE, show_default=True, help="Message of the test event.")
@click.pass_context
def setup(
    ctx: click.Context, answers: Path | None, etc_dir: Path | None, dry_run: bool, start: bool, test: bool | None,
    test_message: str,
) -> None:  # fmt: skip
    """Configure this host: settings, secrets, schema, API keys, service, and an event to prove it.

    Redis and PostgreSQL are found when they run on this host; what else is needed is asked, or taken from the file of
    --answers. What stands in mutt.env and in the secrets file already is kept unless an answer says otherwise. API keys
    that are missing are made and shown once, on standard output. Nothing is written before Redis and PostgreSQL have
    been reached. Run it again at any time: without new answers it changes nothing and says so.
    """
    plan = make_plan(answers, (etc_dir / "mutt.env").absolute() if etc_dir else env_file(os.environ))
    host = judged(plan)
    with servers(host, plan.secrets, plan.vault_secret_id) as found:
        found.examine()
        pending = found.pending()
        obstacle = "you said --no-start" if not start else setup_service.obstacle(plan.env_file)
        if dry_run:
            steps = [] if obstacle else setup_service.needed(plan.changes)
            ctx.exit(CHANGES if tell(plan, pending, steps) else 0)
        changed = plan.changes or bool(pending)
        write(plan)
        if pending:
            found.migrate()
        changed = run_service(host, obstacle, changed) or changed
        if not changed:
            say("nothing was changed: this host is set up already")
        if test or (test is None and changed):
            send_event(ctx, found, test_message, required=bool(test) or not obstacle)


def make_plan(answers_file: Path | None, env: Path) -> Plan:
    """What is to be written. Asks where somebody can be asked; raises CliError where nobody can."""
    answers = setup_answers.read_answers(answers_file)
    content = setup_files.content_of(env)
    present = read(env)
    answered = {name: setup_answers.as_text(value) for name, value in answers.settings.items()}
    wanted = {**present, **answered}
    wanted |= setup_answers.complete_settings(wanted)
    in_file = wanted.get("MUTT_SECRETS_BACKEND") == "file"
    secrets_file = None
    stored: Values = {}
    if in_file:
        secrets_file = Path(wanted.get("MUTT_SECRETS_FILE") or env.parent / "secrets" / "secrets.env")
        if secrets_file != settings.CredentialSettings().file:
            wanted["MUTT_SECRETS_FILE"] = str(secrets_file)
        stored = read(secrets_file)
    given = {**stored, **answers.secrets} if in_file else {}
    if in_file and not stored:
        given |= setup_answers.ask_secrets(given)
    if in_file and not given.get("MOOG_API_KEY") and not wanted.get("MOOG_AUTH"):
        say("no API key for the webhook (MOOG_API_KEY): alerts are sent without one, MOOG_AUTH=none")
        wanted["MOOG_AUTH"] = "none"
    keys = {name: secrets.token_urlsafe(32) for name in API_KEYS if in_file and not given.get(name)}
    given |= keys
    new_settings = {name: value for name, value in wanted.items() if value != present.get(name, "")}
    new_secrets = {name: value for name, value in given.items() if value != stored.get(name, "")}
    old_secrets = (setup_files.content_of(secrets_file) if secrets_file else None) or ""
    return Plan(
        env_file=env,
        env_content=setup_files.with_values(settings_template.render() if content is None else content, new_settings),
        settings=new_settings,
        secrets_file=secrets_file,
        secrets_content=setup_files.with_values(old_secrets, new_secrets),
        secrets=given,
        new_secrets=tuple(sorted(new_secrets)),
        keys=keys,
        vault_secret_id=None if in_file else new_secret_id(answers.vault_secret_id, wanted),
    )


def read(file: Path) -> Values:
    """The assignments in the file. Raises ConfigurationError for lines that are none."""
    values, problems = settings.read_env_file(file)
    if problems:
        raise ConfigurationError(problems)
    return values


def new_secret_id(answered: str | None, wanted: Values) -> str | None:
    """The AppRole secret id when it is another than the stored one; a person is asked for the first."""
    file = secret_id_file(wanted)
    stored = (setup_files.content_of(file) or "").strip()
    if not answered and not stored and setup_answers.can_ask():
        answered = click.prompt("AppRole secret id for Vault", hide_input=True, err=True)
    return answered if answered and answered.strip() != stored else None


def secret_id_file(wanted: Values) -> Path:
    return Path(wanted.get("VAULT_SECRET_ID_FILE") or settings.CredentialSettings().vault_secret_id_file)


def judged(plan: Plan) -> settings.Host:
    """The settings as the programs will read them. Raises ConfigurationError with every mistake in them."""
    with tempfile.TemporaryDirectory(prefix="mutt-setup-") as folder:
        draft = Path(folder, "mutt.env")
        draft.write_text(plan.env_content, encoding="utf-8")
        problems = find_problems(draft)
        if problems:
            raise ConfigurationError([each.replace(str(draft), str(plan.env_file)) for each in problems])
        return settings.survey({}, draft)


def tell(plan: Plan, pending: list[str], steps: list[tuple[str, str]]) -> bool:
    """Says what would be done; whether that is anything."""
    lines = [
        f"would set {name}={settings.shown(name, value)} in {plan.env_file}" for name, value in plan.settings.items()
    ]
    lines += [f"would write the secret {name} to {plan.secrets_file}" for name in plan.new_secrets]
    lines += [f"would close {plan.secrets_file} to strangers"] if plan.exposed else []
    lines += [f"would make the API key {name}" for name in plan.keys]
    lines += ["would write the secret id for Vault"] if plan.vault_secret_id else []
    lines += [f"would apply the migration {each}" for each in pending]
    lines += [f"would run systemctl {verb} {unit}" for verb, unit in steps]
    for line in lines or ["there is nothing to do: this host is set up already"]:
        say(line)
    return bool(lines)


def write(plan: Plan) -> None:
    """Writes what is new, the secrets first: settings that lead to no secrets would stop the programs."""
    if plan.vault_secret_id:
        file = secret_id_file({**read(plan.env_file), **plan.settings})
        setup_files.replace_file(file, plan.vault_secret_id.strip() + "\n")
        say(f"wrote the secret id for Vault to {file}")
    if plan.secrets_file and (plan.new_secrets or plan.exposed):
        setup_files.replace_file(plan.secrets_file, plan.secrets_content)
        say(f"wrote {', '.join(plan.new_secrets) or 'the secrets, closed to strangers,'} to {plan.secrets_file}")
    if plan.settings:
        setup_files.replace_file(plan.env_file, plan.env_content)
        say(f"wrote {', '.join(plan.settings)} to {plan.env_file}")
    if plan.keys:
        say("these API keys were made now and are shown this once; INGEST is for sources, WEBUI for administrators:")
        for name, key in plan.keys.items():
            click.echo(f"{name}={key}")
        sys.stdout.flush()


def run_service(host: settings.Host, obstacle: str, changed: bool) -> bool:
    """Has the service run with what stands now; whether systemctl had anything to do."""
    if obstacle:
        say(f"the service was left alone: {obstacle}")
        return False
    steps = setup_service.needed(changed)
    setup_service.carry_out(steps)
    setup_service.wait_until_healthy(host)
    return bool(steps)


def send_event(ctx: click.Context, found: Servers, message: str, required: bool) -> None:
    """Sends the test event and shows it through. Where programs do not run and need not, it says how to go on."""
    sick = setup_service.unhealthy(found.host)
    if sick and not required:
        say("the programs do not run, so no test event was sent; start them, then: mutt-admin send-test")
        return
    if sick:
        raise CliError(f"no test event was sent: {sick[0].check}: {sick[0].sentence}. {sick[0].fix}", UNHEALTHY)
    session = ctx.find_object(Session) or ctx.obj
    there = connection_to(found.host, found.credentials)
    session.connection = replace(there, ca_file=session.choices.ca_file)
    ctx.invoke(
        send_test, message=message, hostname="mutt-setup", severity=6, source="mutt-admin", wait=30.0, ingest_url=None,
        ingest_key_file=None, output="table",
    )  # fmt: skip


def connection_to(host: settings.Host, credentials: Credentials) -> Connection:
    """The programs of this host, whatever other appliance admin.toml names."""
    urls = {}
    for place in places(host):
        # The certificate has the name of the host.
        name = socket.getfqdn() if place.scheme == "https" else place.address
        urls[place.name] = f"{place.scheme}://{f'[{name}]' if ':' in name else name}:{place.port}"
    return Connection(
        url=urls["mutt-webui"], url_source="the settings of this host", api_key=credentials.get("WEBUI_API_KEY"),
        key_source="the secrets of this host", ca_file=None, timeout_seconds=30.0, ingest_url=urls["mutt-ingestor"],
        ingest_key=credentials.get("INGEST_API_KEY"),
    )  # fmt: skip
