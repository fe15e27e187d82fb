"""MUTT's five programs under supervisord, as etc/supervisord.d/ describes them, and how well they are."""

import contextlib
import http.client
import json
import os
import urllib.error
import urllib.request
import xmlrpc.client
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from load.stack.console import StackError, run_logged, tail
from load.stack.layout import Layout
from load.stack.processes import Service, until

HEALTHY_SECONDS = 60.0

EX_CONFIG = 78


def supervisord_service(layout: Layout) -> Service:
    # supervisord stops the programs one after another, and gives each 30 s.
    return Service(layout, "supervisord", log="mutt", grace_seconds=160)


def migrate(layout: Layout, environ: Mapping[str, str]) -> None:
    """Brings the database to the schema that the programs expect."""
    run_logged([str(layout.bin / "mutt-admin"), "db", "migrate"], layout.logs / "migrate.log", environ, layout.root)


def start_supervisord(layout: Layout, environ: Mapping[str, str]) -> None:
    service = supervisord_service(layout)
    _set_aside(service.log)
    layout.control_socket.parent.mkdir(mode=0o700, exist_ok=True)
    layout.supervisord_conf.write_text(_configuration(layout))
    # In the foreground ("nodaemon") it stays the process whose pid we know.
    argv = [str(layout.bin / "supervisord"), "--configuration", str(layout.supervisord_conf)]
    service.start(argv, environ, cwd=layout.root)


def _set_aside(log: Path) -> None:
    """A log for each run, and the one before it: what is shown of a failure is this run's."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def _configuration(layout: Layout) -> str:
    # The pattern is relative to this file: an absolute one could contain blanks, which supervisor takes for two.
    programs = os.path.relpath(layout.root / "etc" / "supervisord.d", layout.var)
    socket = str(layout.control_socket).replace("%", "%%")
    lines = [
        "; Written by `make up` and `make run` at every start.",
        "[supervisord]",
        "nodaemon=true",
        "logfile=/dev/null",
        "logfile_maxbytes=0",
        "pidfile=%(here)s/run/supervisord.pid",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={socket}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisorctl]",
        f"serverurl=unix://{socket}",
        "[include]",
        f"files={programs}/*.conf",
    ]
    return "\n".join(lines) + "\n"


NO_SUPERVISOR = (OSError, http.client.HTTPException, xmlrpc.client.Error)


def _supervisor(layout: Layout) -> Any:
    """supervisord's XML-RPC interface; its calls raise one of NO_SUPERVISOR when it does not answer."""
    transport = SupervisorTransport(serverurl=f"unix://{layout.control_socket}")
    return xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor


def stop_supervisord(layout: Layout) -> bool:
    """Ends the programs and supervisord; False when they were not running."""
    service = supervisord_service(layout)
    if service.running:
        # Left to itself supervisord stops one program after the other; on a laptop nobody waits for that.
        with contextlib.suppress(*NO_SUPERVISOR):
            _supervisor(layout).stopAllProcesses(False)
    return service.stop()


# --- health ---------------------------------------------------------------------------------------------------


def health(url: str) -> tuple[bool, str]:
    """Whether /health answers 200, and what it said."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # A proxy knows nothing of our loopback.
    try:
        with opener.open(url, timeout=3) as answer:
            return answer.status == 200, answer.read(4096).decode("utf-8", "replace").strip()
    except urllib.error.HTTPError as error:
        return False, f"{error.code} {error.read(4096).decode('utf-8', 'replace').strip()}"
    except (OSError, http.client.HTTPException) as error:
        return False, f"no answer ({getattr(error, 'reason', error)})"


def all_healthy(urls: Mapping[str, str]) -> bool:
    return all(health(url)[0] for url in urls.values())


def wait_until_healthy(layout: Layout, urls: Mapping[str, str], seconds: float = HEALTHY_SECONDS) -> None:
    """Returns once every /health answers 200. Raises StackError naming those that do not, with the end of the log."""
    service = supervisord_service(layout)
    for _ in until(seconds, pause_seconds=0.2):
        if all_healthy(urls):
            return
        if not service.running:
            raise StackError(f"supervisord ended. The end of {service.log}:\n{tail(service.log)}")
        given_up = [program for program, exit_status in _ended(layout).items() if exit_status == EX_CONFIG]
        if given_up:
            complaints = tail(service.log, containing="configuration error")
            raise StackError(f"{' and '.join(given_up)} cannot start; {service.log} says:\n{complaints}")
    sick = {name: url for name, url in urls.items() if not health(url)[0]}
    if sick:
        raise StackError(_complaint(service.log, sick, seconds))


def _ended(layout: Layout) -> dict[str, int]:
    """Exit codes of the programs that supervisord does not start again."""
    try:
        infos = _supervisor(layout).getAllProcessInfo()
    except NO_SUPERVISOR:  # It is not listening yet.
        return {}
    return {info["name"]: info["exitstatus"] for info in infos if info["statename"] == "EXITED"}


def _complaint(log: Path, sick: Mapping[str, str], seconds: float) -> str:
    """Which programs are not healthy, what their /health says, and the end of the log: of the program if it is one."""
    lines = [
        f"{program} is not healthy after {seconds:g} s; {url} says: {_short(health(url)[1])}"
        for program, url in sick.items()
    ]
    containing = next(iter(sick)) if len(sick) == 1 else ""
    return "\n".join([*lines, f"The end of {log}:", tail(log, lines=40, containing=containing)])


def _short(body: str) -> str:
    try:
        return json.dumps(json.loads(body.partition(" ")[2] if body[:3].isdigit() else body))
    except ValueError:
        return body[:500]
