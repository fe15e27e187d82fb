"""mutt-alerter, mutt-forwarder and mutt-remediation: the parent process, and with --child a worker process."""

import importlib
import sys
from typing import Any, NamedTuple

from mutt import gevent_patch  # noqa: F401 - must come first: it makes the standard library cooperative
from mutt.settings import Alerter, Forwarder, Remediation, load_or_exit


class Program(NamedTuple):
    """A program's settings and the functions that run its two kinds of process."""

    settings: Any
    run_child: str
    run_parent: str


PROGRAMS = {
    "mutt-alerter": Program(Alerter, "run_alerter", "parent_of_alerters"),
    "mutt-forwarder": Program(Forwarder, "run_forwarder", "parent_of_forwarder"),
    "mutt-remediation": Program(Remediation, "run_remediation", "parent_of_remediation"),
}


def alerter() -> None:
    sys.exit(run_parent("mutt-alerter"))


def forwarder() -> None:
    sys.exit(run_parent("mutt-forwarder"))


def remediation() -> None:
    sys.exit(run_parent("mutt-remediation"))


def run_parent(name: str) -> int:
    """Runs a program until it is told to stop; returns its exit code."""
    settings = load_or_exit(PROGRAMS[name].settings)
    from mutt.observability import logs, multiprocess, tracing

    tracing.import_redis_alone()
    logs.configure(settings.general, name)
    multiprocess.prepare_dir(settings.general.run_dir, name)
    code: int = getattr(importlib.import_module("mutt.workers.parents"), PROGRAMS[name].run_parent)(settings)
    return code


def run_child(name: str, status_fd: int | None) -> None:
    """Runs one worker process of a program until it is told to stop."""
    settings = load_or_exit(PROGRAMS[name].settings)
    from mutt.observability import logs, tracing

    tracing.import_redis_alone()
    logs.configure(settings.general, name)
    getattr(importlib.import_module("mutt.workers.wiring"), PROGRAMS[name].run_child)(settings, status_fd)


def main(arguments: list[str]) -> int:
    """``mutt.workers PROGRAM [--child STATUS_FD]``; without --child it is the program itself."""
    if len(arguments) == 3 and arguments[1] == "--child":
        run_child(arguments[0], int(arguments[2]))
        return 0
    return run_parent(arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
