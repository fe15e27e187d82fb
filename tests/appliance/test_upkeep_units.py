"""The timer of upkeep and its service: systemd takes them, and they give away little."""

import re
import shutil
import subprocess

import pytest

from tests.appliance.conftest import CHECKOUT

UNITS = [str(CHECKOUT / "systemd" / name) for name in ("mutt-upkeep.service", "mutt-upkeep.timer")]

pytestmark = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is missing (apt-get install systemd)"
)


def analyze(*arguments: str) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_systemd_has_nothing_against_them() -> None:
    complaints = analyze("verify", "--man=no", *UNITS).splitlines()
    assert [line for line in complaints if "mutt-upkeep" in line and "mutt-admin is not executable" not in line] == []


def test_the_service_gives_away_little() -> None:
    answer = analyze("security", "--offline=true", UNITS[0])
    exposure = re.search(r"Overall exposure level for mutt-upkeep.service: ([\d.]+)", answer)
    assert exposure, answer
    assert float(exposure[1]) <= 1.5
