"""``python -m load.stack run|up|down|clean``: the commands behind the Makefile, inside the virtual environment."""

import os
import signal
import socket
import sys
from types import FrameType

from load.stack import stack
from load.stack.console import StackError, say
from load.stack.follow import follow
from load.stack.layout import Layout
from load.stack.processes import STOP_SIGNALS


class Interrupted(BaseException):
    """Somebody wants us to stop: Ctrl-C, SIGTERM or the terminal has gone. No error, so no Exception."""


def main() -> int:
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    commands = {"run": run, "up": up, "down": down, "clean": clean}
    if command not in commands:
        say(f"usage: python -m load.stack {'|'.join(commands)}")
        return 2
    socket.setdefaulttimeout(10)  # supervisor's client has no time limit of its own.
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        return commands[command](Layout.of())
    except StackError as error:
        sys.stderr.write(f"\nmake {command}: {error}\n")
        return 1
    except PermissionError as error:
        sys.stderr.write(f"\nmake {command}: {error}. Was the stack set up by another user, perhaps by root?\n")
        return 1
    except Interrupted:
        return 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    for stop_signal in STOP_SIGNALS:  # Once is enough: from here on everything is being stopped.
        signal.signal(stop_signal, signal.SIG_IGN)
    raise Interrupted


def up(layout: Layout) -> int:
    if stack.up(layout, os.environ):
        say(f"MUTT is up already. Addresses and keys are in {layout.dev_env}; `make down` stops it.")
    else:
        say(f"MUTT is up. Addresses and keys are in {layout.dev_env}; `make down` stops it.")
    return 0


def down(layout: Layout) -> int:
    say("MUTT is down." if stack.down(layout) else "Nothing was running.")
    return 0


def clean(layout: Layout) -> int:
    stack.clean(layout)
    return 0


def run(layout: Layout) -> int:
    """Up, with sample syslog, in the foreground: whatever ends it, nothing is left running."""
    if stack.up(layout, os.environ):
        say("MUTT was up already; this shows what it does, and Ctrl-C stops it all the same.")
    try:
        return follow(layout)
    except Interrupted:
        say("\nStopping ...")
        return 0
    finally:
        stack.down(layout)
        say("Everything has been stopped.")


if __name__ == "__main__":
    sys.exit(main())
