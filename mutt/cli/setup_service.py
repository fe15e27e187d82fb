"""The service as `mutt-admin setup` leaves it: enabled, started with the settings that stand, and healthy."""

import shutil
import subprocess
import time
from pathlib import Path

from mutt.admin.services.checks.programs import check_program, places
from mutt.admin.shapes.overview import Finding
from mutt.cli.exits import UNHEALTHY, CliError
from mutt.cli.output import say
from mutt.settings import DEFAULT_ENV_FILE, Host

UNITS = ("mutt.service", "mutt-upkeep.timer")
SYSTEMD = Path("/run/systemd/system")
HEALTHY_SECONDS = 90.0
LOOK_SECONDS = 0.5


def obstacle(env_file: Path) -> str:
    """Why systemd cannot run MUTT with this file; empty when it can."""
    if env_file != DEFAULT_ENV_FILE:
        return f"mutt.service reads {DEFAULT_ENV_FILE}, not {env_file}"
    if not shutil.which("systemctl") or not SYSTEMD.is_dir():
        return "systemd does not run here"
    if _systemctl("cat", UNITS[0]).returncode != 0:
        return f"{UNITS[0]} is not installed"
    return ""


def needed(changed: bool) -> list[tuple[str, str]]:
    """What systemctl has to do, as verb and unit; ``changed`` is whether the programs must read their settings anew."""
    steps = [("enable", unit) for unit in UNITS if _systemctl("is-enabled", unit).stdout.strip() != "enabled"]
    for unit in UNITS:
        active = _systemctl("is-active", unit).stdout.strip() == "active"
        if not active:
            steps.append(("start", unit))
        elif changed and unit == UNITS[0]:
            steps.append(("restart", unit))
    return steps


def carry_out(steps: list[tuple[str, str]]) -> None:
    """Has systemctl do the steps. Raises CliError with what it said."""
    for verb, unit in steps:
        done = _systemctl(verb, unit)
        if done.returncode != 0:
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise CliError(f"systemctl {verb} {unit} failed: {said}; journalctl -u {unit} says why. Run this as root")
        say(f"systemctl {verb} {unit}: done")


def wait_until_healthy(host: Host) -> None:
    """Returns when every program is healthy. Raises CliError with what the last one says and what to do."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    while sick := unhealthy(host):
        if time.monotonic() > deadline:
            raise CliError("; ".join(f"{each.check}: {each.sentence}. {each.fix}" for each in sick), UNHEALTHY)
        time.sleep(LOOK_SECONDS)
    say("all five programs are healthy")


def unhealthy(host: Host) -> list[Finding]:
    """The findings about programs that do not run or say that something is amiss."""
    return [finding for place in places(host) for finding in check_program(place) if finding.state == "failed"]


def _systemctl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
