"""The packages that the tests of the appliance share: two builds of this checkout and one of a later version."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKED = (
    "CHANGELOG.md", "LICENSE", "README.md", "docs", "etc", "monitoring", "mutt", "requirements.lock", "rpm",
    "setup.cfg", "sql", "systemd",
)  # fmt: skip
EPOCH = "1700000000"


def build(checkout: Path, folder: Path) -> Path:
    """Runs rpm/build.sh of a checkout and returns the package."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "MUTT_EL": "9"}
    environ.pop("PYTHONPATH", None)
    done = subprocess.run(
        [checkout / "rpm/build.sh", folder], env=environ, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def copy_of_checkout(folder: Path) -> Path:
    """The packed part of the checkout at another path, with other file times, and the wheels already there."""
    for name in PACKED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, copy_function=shutil.copy)
        elif source.exists():
            shutil.copy(source, folder / name)
    (folder / "var").mkdir()
    (folder / "var/wheels").symlink_to(CHECKOUT / "var/wheels")
    return folder


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The RPM of this checkout."""
    return build(CHECKOUT, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def package_again(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same RPM once more, from another folder."""
    return build(copy_of_checkout(tmp_path_factory.mktemp("copy")), tmp_path_factory.mktemp("again"))


@pytest.fixture(scope="session")
def later_package(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The RPM of a later version that brings another mutt.env."""
    checkout = copy_of_checkout(tmp_path_factory.mktemp("later"))
    spec = checkout / "rpm/mutt.spec"
    spec.write_text(re.sub(r"^Release:.*", "Release: 2%{?dist}", spec.read_text(), flags=re.MULTILINE))
    with (checkout / "etc/mutt/mutt.env").open("a") as env:
        env.write("\n# A setting of the later version.\n")
    return build(checkout, tmp_path_factory.mktemp("later-package"))
