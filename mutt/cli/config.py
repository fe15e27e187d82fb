"""``mutt-admin config``: the dynamic settings of the appliance, and the settings of this host's programs."""

import difflib
import os
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from mutt.admin.shapes.config import PastSetting, Setting, SettingHistory, Settings
from mutt.cli.api import Api, path_of
from mutt.cli.exits import CliError
from mutt.cli.explain import explain_variable
from mutt.cli.failures import ApiError
from mutt.cli.options import Session, if_match_option, limit_option, pass_api, reason_option, say_how_many
from mutt.cli.output import Column, Listing, output_option, say, show, show_one
from mutt.errors import ConfigurationError
from mutt.settings import known_variables, load
from mutt.settings_template import PROGRAMS

SETTINGS: Listing[Setting] = Listing(
    (
        Column("KEY", lambda setting: setting.key),
        Column("VALUE", lambda setting: Text(str(setting.value), "red" if setting.problem else "")),
        Column("FROM", lambda setting: setting.source),
        Column("DEFAULT", lambda setting: setting.default, wide=True),
        Column("ACCEPTS", lambda setting: setting.accepts, wide=True),
        Column("WHAT IT DOES", lambda setting: setting.problem or setting.doc, long=True),
        Column("PROGRAMS", lambda setting: setting.programs, wide=True),
    ),
    lambda setting: setting.key,
)

HISTORY: Listing[PastSetting] = Listing(
    (
        Column("CHANGE", lambda past: past.id),
        Column("TIME", lambda past: past.changed_at),
        Column("BY", lambda past: past.changed_by),
        Column("FROM", lambda past: "(default)" if past.old_value is None else past.old_value),
        Column("TO", lambda past: "(default)" if past.new_value is None else past.new_value),
        Column("STATUS", lambda past: past.status),
        Column("REASON", lambda past: past.reason, long=True),
    ),
    lambda past: past.id,
)


@click.group()
def config() -> None:
    """Settings: the dynamic ones of the appliance, and those of this host in mutt.env."""


@config.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path | None) -> None:
    """Check the settings of every program and show all mistakes at once; ends with exit code 78 when there are any.

    With FILE that file alone is judged, so the answer is the same whoever asks; without it, what a program started
    here and now would see.
    """
    problems = find_problems(file)
    if problems:
        raise ConfigurationError(problems)
    say(f"{file or 'the configuration'} is valid")


@config.command("list")
@output_option
@pass_api
def list_settings(api: Api, output: str) -> None:
    """List the dynamic settings with their values."""
    answer = api.get("/config", Settings)
    show(output, answer.config, SETTINGS, answer)
    if not answer.enabled:
        say("DYNAMIC_CONFIG_ENABLED is false: stored values are ignored, and nothing can be set")


@config.command("get")
@click.argument("key")
@output_option
@pass_api
def get_setting(api: Api, key: str, output: str) -> None:
    """Print the value of a dynamic setting; with -o json or yaml everything about it."""
    setting, etag = _setting(api, key)
    if output in ("table", "name"):
        click.echo(str(setting.value))
    else:
        show_one("yaml" if output == "wide" else output, key, {}, {**_members(setting), "etag": etag})


@config.command("set")
@click.argument("key")
@click.argument("value")
@reason_option
@if_match_option
@pass_api
def set_setting(api: Api, key: str, value: str, reason: str | None, if_match: str | None) -> None:
    """Set a dynamic setting; the programs follow within seconds, without a restart."""
    body = {"value": as_value(value), "reason": reason}
    setting = _named(api, key, lambda: api.put(path_of("config", key), body, Setting, if_match))
    say(f"{setting.key} is {setting.value} now")


@config.command("reset")
@click.argument("key")
@reason_option
@if_match_option
@pass_api
def reset_setting(api: Api, key: str, reason: str | None, if_match: str | None) -> None:
    """Have a dynamic setting at its default again."""
    setting = _named(api, key, lambda: api.delete(path_of("config", key), Setting, if_match, reason=reason))
    say(f"{setting.key} is {setting.value} now, from: {_source(setting)}")


@config.command("history")
@click.argument("key")
@limit_option
@output_option
@pass_api
def setting_history(api: Api, key: str, limit: int, output: str) -> None:
    """List the changes of a dynamic setting, newest first."""
    path = path_of("config", key, "history")
    entries, total, _ = _named(api, key, lambda: api.listed(path, SettingHistory, "history", limit))
    show(output, entries, HISTORY, {"history": entries, "total": total})
    say_how_many(len(entries), total)


@config.command()
@click.argument("key")
@output_option
@click.pass_obj
def explain(session: Session, key: str, output: str) -> None:
    """Show the value of a setting, where it came from, what it accepts and whether a change needs a restart.

    KEY is a dynamic setting (moog_rate_limit) or a variable of this host's mutt.env (MOOG_WEBHOOK_URL).
    """
    variables = known_variables()
    if key in variables or key.upper() == key:
        show_one(output, key, *[explain_variable(key, os.environ)] * 2)
        return
    setting, _ = _setting(session.api, key)
    restart = "a change needs a restart" if setting.needs_restart else "no: the programs follow within seconds"
    members = {
        "setting": setting.key, "value": setting.value, "from": _source(setting), "default": setting.default,
        "accepts": setting.accepts, "meaning": setting.doc, "read by": ", ".join(setting.programs), "restart": restart,
    }  # fmt: skip
    if setting.problem:
        members["problem"] = setting.problem
    if key.upper() in variables:
        members["see also"] = f"{key.upper()} in mutt.env, which counts while this is not set"
    show_one(output, key, members, members)


def find_problems(file: Path | None) -> list[str]:
    """One sentence for each mistake, whichever program would meet it first."""
    environ = {} if file else os.environ
    problems: list[str] = []
    for program in PROGRAMS:
        try:
            load(program, environ, file)
        except ConfigurationError as error:
            problems += error.problems
    return list(dict.fromkeys(problems))


def as_value(text: str) -> int | float | str:
    """The value as JSON has it: a number when it looks like one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _setting(api: Api, key: str) -> tuple[Setting, str | None]:
    return _named(api, key, lambda: api.get_tagged(path_of("config", key), Setting))  # type: ignore[no-any-return]


def _named(api: Api, key: str, call: Any) -> Any:
    """The answer of the call. A key that does not exist is answered with those that look like it."""
    try:
        return call()
    except ApiError as error:
        if error.status != 404:
            raise
        known = [each.key for each in api.get("/config", Settings).config]
        close = difflib.get_close_matches(key.lower(), known, n=2)
        hint = f"did you mean {' or '.join(close)}?" if close else "`mutt-admin config list` lists them"
        raise CliError(f"there is no dynamic setting {key!r}; {hint}") from error


def _members(setting: Setting) -> dict[str, Any]:
    return {name: getattr(setting, name) for name in setting.__struct_fields__}


def _source(setting: Setting) -> str:
    return {"redis": "set with `mutt-admin config set` or on the dashboard (kept in Redis)",
            "environment": "mutt.env or the environment of the program"}.get(setting.source, "the default")  # fmt: skip
