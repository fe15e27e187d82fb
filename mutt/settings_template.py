"""The documented mutt.env and the reference of all settings, generated from the classes in mutt.settings.

``python -m mutt.settings_template`` prints etc/mutt/mutt.env, with ``--reference`` docs/reference/settings.md. Both
files are tested to equal what is generated, so that a new setting cannot miss its documentation.
"""

import dataclasses
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mutt import settings

WIDTH = 110

PROGRAMS = {
    settings.Ingestor: "mutt-ingestor",
    settings.WebUI: "mutt-webui",
    settings.Alerter: "mutt-alerter",
    settings.Forwarder: "mutt-forwarder",
    settings.Remediation: "mutt-remediation",
    settings.Admin: "mutt-admin",
    settings.Upkeep: "mutt-admin upkeep",
}

_HEADER = """\
Settings of MUTT. This file goes to /etc/mutt/mutt.env; MUTT_ENV_FILE in the environment names another place.

One VARIABLE=value a line, in the syntax of a systemd EnvironmentFile: a line that starts with # or ; is a comment, a
comment cannot follow a value on its line, and a value may stand in single or double quotes. A value left empty counts
as not set.

Every setting is shown with its default; remove the # before it to change it. Those marked REQUIRED have no default
that could work. A variable in the environment of a program wins over this file.

The programs read their settings once, at start. Before restarting them, check this file with:

mutt-admin config check /etc/mutt/mutt.env

Passwords and API keys do not belong here; see the section on secrets."""

_SECRETS_CHOICE = """\
CHOOSE where the secrets are:

MUTT_SECRETS_BACKEND=vault, the default: set VAULT_ADDR and VAULT_ROLE_ID, and put the AppRole secret id into the file
that VAULT_SECRET_ID_FILE names.

MUTT_SECRETS_BACKEND=file: put the secrets into the file that MUTT_SECRETS_FILE names, one NAME=value a line, mode
0600. No VAULT_ variable is needed.

The names are the same for both: INGEST_API_KEY, WEBUI_API_KEY, MOOG_API_KEY, REDIS_PASS_CURRENT, REDIS_PASS_NEXT,
DB_PASS_CURRENT and DB_PASS_NEXT. While an API key is rotated, its successor stands beside it under its name with _NEXT
at the end."""

_REFERENCE_INTRO = """\
# Settings

Settings are `VARIABLE=value` lines in `/etc/mutt/mutt.env`, in the syntax of a systemd EnvironmentFile;
`MUTT_ENV_FILE` in the environment names another file. A variable in the environment of a program wins over the file,
and a value left empty counts as not set. The programs read their settings once, at start: all mistakes are reported
together and the program ends with exit code 78. `mutt-admin config check FILE` reports the same without starting
anything.

This page and `etc/mutt/mutt.env` are generated from `mutt/settings.py` by `python -m mutt.settings_template`.
"""

Field = dataclasses.Field[Any]


def render() -> str:
    """The template of mutt.env: every variable once, commented out with its default, its meaning above it."""
    blocks = [_comment(_HEADER)]
    seen: dict[str, str] = {}
    for group in settings.GROUPS:
        title = _title(group)
        heading = f"# {'-' * 3} {title} {'-' * (WIDTH - len(title) - 7)}\n"
        blocks.append(heading + _comment(f"Read by {', '.join(_readers(group))}."))
        if group is settings.CredentialSettings:
            blocks.append(_comment(_SECRETS_CHOICE))
        for field in dataclasses.fields(group):
            blocks.append(_template_entry(group, field, seen.get(_variable(field))))
            seen.setdefault(_variable(field), title)
    return "\n".join(blocks)


def render_reference() -> str:
    """docs/reference/settings.md: a table for each section with variable, default, what it accepts and meaning."""
    return "\n".join([_REFERENCE_INTRO, *(_reference_section(group) for group in settings.GROUPS)])


def accepts(field: Field) -> str:
    """What the setting accepts, in the words its parser refuses anything else with."""
    parse = field.metadata["parse"]
    return _PLAIN.get(parse) or demand(parse)


_PLAIN: dict[Callable[[str], Any], str] = {
    settings.text: "text",
    settings.required_text: "text",
    settings.path: "a path",
    settings.optional_path: "a path",
    settings.required_fields: "names with commas between, timestamp, message and hostname among them",
}
"""Parsers that refuse nothing a person would type, or whose refusal depends on what was typed."""


def demand(parse: Callable[[str], Any]) -> str:
    """What a parser demands of a value, in the words it refuses a wrong one with."""
    try:
        parse(":")  # No setting but plain text accepts a lone colon.
    except ValueError as error:
        words = str(error).removeprefix("must be ")
        # An empty choice can be made by setting nothing, so it is not listed.
        return words.replace("one of , ", "one of ")
    raise AssertionError(f"say in _PLAIN what {parse!r} accepts")


def shown_default(field: Field) -> str:
    """The default as it would be written in mutt.env; empty when there is none."""
    return _as_value(field.default)


def _as_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    if isinstance(value, str | int | Path):
        return str(value)
    raise TypeError(f"say how a default of type {type(value).__name__} is written")


def requirement(group: type, field: Field) -> str:
    """Whether the setting must be made: REQUIRED, REQUIRED under a condition, or empty."""
    if field.metadata["required"]:
        return "REQUIRED"
    if any(problem.startswith(f"{_variable(field)} ") for problem in _problems_of_defaults(group)):
        return "REQUIRED unless MUTT_SECRETS_BACKEND=file"
    return ""


def _problems_of_defaults(group: Any) -> list[str]:
    problems: list[str] = group().problems() if hasattr(group, "problems") else []
    return problems


def _template_entry(group: type, field: Field, earlier_section: str | None) -> str:
    if earlier_section is not None:
        # A variable that stood in the file twice would silently keep its last value.
        return _comment(f"{_variable(field)} of the section {earlier_section!r} counts here too.")
    mark, meaning = requirement(group, field), field.metadata["doc"]
    if field.metadata["parse"] not in _PLAIN:
        meaning += f" Accepts {accepts(field)}."
    comment = _comment(f"{mark}. {meaning}" if mark else meaning)
    return f"{comment}#{_variable(field)}={shown_default(field)}\n"


def _reference_section(group: type) -> str:
    lines = [f"## {_title(group)}", "", f"Read by {', '.join(f'`{reader}`' for reader in _readers(group))}.", ""]
    if group is settings.CredentialSettings:
        lines += [_SECRETS_CHOICE, ""]
    lines += ["| variable | default | accepts | meaning |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(group):
        default = f"`{shown_default(field)}`" if shown_default(field) else "-"
        cells = (f"`{_variable(field)}`", requirement(group, field) or default, accepts(field), field.metadata["doc"])
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _readers(group: type) -> Iterator[str]:
    """The programs that have the group among their settings."""
    for program, name in PROGRAMS.items():
        if any(field.type is group for field in dataclasses.fields(program)):
            yield name


def _title(group: type) -> str:
    return (group.__doc__ or "").strip()


def _variable(field: Field) -> str:
    return str(field.metadata["variable"])


def _comment(text: str) -> str:
    """The paragraphs of the text as comment lines. Words are never broken, so that a name can be copied."""
    wrapped = (
        textwrap.wrap(paragraph, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
        for paragraph in text.split("\n\n")
    )
    return "#\n".join("".join(f"# {line}\n" for line in lines) for lines in wrapped)


if __name__ == "__main__":
    sys.stdout.write(render_reference() if "--reference" in sys.argv[1:] else render())
