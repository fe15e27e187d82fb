"""The mutt-admin line that does what a page does, to be copied into a terminal or a runbook."""

import shlex
from typing import Any


def line(command: str, *arguments: Any, **options: Any) -> str:
    """``mutt-admin command`` with its options and arguments, quoted for a shell.

    An option of one letter gets one dash. Without a value an option is left out; True makes it a flag.
    """
    parts = ["mutt-admin", *command.split()]
    for name, value in options.items():
        flag = f"-{name}" if len(name) == 1 else "--" + name.replace("_", "-")
        if value is True:
            parts.append(flag)
        elif value not in (None, "", False):
            parts += [flag, str(value)]
    given = [str(argument) for argument in arguments]
    if any(argument.startswith("-") for argument in given):
        parts.append("--")
    return shlex.join(parts + given)
