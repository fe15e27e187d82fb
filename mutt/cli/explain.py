"""What is known about a variable of mutt.env: value, source, meaning, readers."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mutt.cli.connection import env_file
from mutt.cli.exits import CliError
from mutt.redisdb.dynamic_config import DYNAMIC_KEYS
from mutt.settings import GROUPS, known_variables, read_env_file, shown
from mutt.settings_template import PROGRAMS, accepts, shown_default


def explain_variable(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """The members to show, secrets left out. Raises CliError, with what was meant perhaps, for an unknown name."""
    variables = known_variables()
    if name not in variables:
        close = difflib.get_close_matches(name, variables, n=1) or difflib.get_close_matches(name.lower(), DYNAMIC_KEYS)
        hint = f"did you mean {close[0]}?" if close else "docs/reference/settings.md lists them"
        raise CliError(f"{name} is not a setting of MUTT; {hint}")
    field = variables[name]
    value, source = value_and_source(name, environ)
    members = {
        "setting": name,
        "value": redacted(name, value) if value is not None else shown_default(field) or "(not set)",
        "from": source,
        "default": shown_default(field) or "(none)",
        "accepts": accepts(field),
        "meaning": field.metadata["doc"],
        "read by": ", ".join(readers(name)),
        "restart": "yes: programs read mutt.env at their start (systemctl restart mutt)",
    }
    if name.lower() in DYNAMIC_KEYS:
        members["see also"] = f"the dynamic setting {name.lower()}, which wins over this one while it is set"
    return members


def value_and_source(name: str, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """The value as a program started here would see it, None for the default, and where it is from."""
    if environ.get(name):
        return environ[name], "the environment of this shell; a program started by systemd has its own"
    file = env_file(environ)
    values, problems = read_env_file(file)
    if problems:
        return None, f"the default, as far as can be seen: {problems[0]}"
    if values.get(name):
        return values[name], str(file)
    return None, "the default"


def redacted(name: str, value: str) -> str:
    """The value without what might be a secret: by its name, or within a URL."""
    if shown(name, value).startswith("(not"):
        return "(not shown)"
    if re.match(r"[a-z]+://", value):
        parts = urlsplit(value)
        host = parts.netloc.rpartition("@")[2]
        user = "(not shown)@" if "@" in parts.netloc else ""
        return urlunsplit(parts._replace(netloc=user + host, query="(not shown)" if parts.query else ""))
    return value


def readers(name: str) -> list[str]:
    """The programs that read the variable."""
    groups = {group for group in GROUPS if name in (field.metadata["variable"] for field in dataclasses.fields(group))}
    return [
        title for program, title in PROGRAMS.items() if groups & {field.type for field in dataclasses.fields(program)}
    ]
