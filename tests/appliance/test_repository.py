"""make repo: a signed repository, from which dnf takes the package and refuses what was not signed with its key."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance.conftest import CHECKOUT, EPOCH
from tests.appliance.small_root import BASE_SPEC, PYTHON, SmallRoot, build_stand_in, make_repository
from tests.appliance.test_rpm import BASE, needed

KEY = "repository-test@example.com"

pytestmark = [
    pytest.mark.skipif(not shutil.which("rpmbuild"), reason="rpmbuild is missing (apt-get install rpm)"),
    pytest.mark.skipif(not shutil.which("dnf"), reason="dnf is missing (apt-get install dnf)"),
    pytest.mark.skipif(not shutil.which("createrepo_c"), reason="createrepo_c is missing"),
    pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is missing (apt-get install gnupg)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can install into another root"),
    pytest.mark.skipif(not Path(PYTHON).exists(), reason=f"{PYTHON} is missing, which RHEL's package brings"),
]


@pytest.fixture(scope="module")
def key_ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a key ring with a key that nobody needs afterwards."""
    folder = tmp_path_factory.mktemp("gnupg")
    folder.chmod(0o700)
    environ = {**os.environ, "GNUPGHOME": str(folder)}
    make = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", KEY, "rsa2048"]
    subprocess.run([*make, "sign", "1d"], env=environ, check=True, capture_output=True)
    yield environ
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=environ, check=False)


def make_repo(folder: Path, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environ = {**environ, "SOURCE_DATE_EPOCH": EPOCH, "MUTT_EL": "9"}
    environ.pop("PYTHONPATH", None)
    return subprocess.run(
        [CHECKOUT / "rpm/repo.sh", folder], env=environ, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def signed(key_ring: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as `make repo GPG_KEY=...` makes it."""
    folder = tmp_path_factory.mktemp("signed")
    made = make_repo(folder, {**key_ring, "GPG_KEY": KEY})
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == str(folder)
    return folder


@pytest.fixture
def root(signed: Path, package: Path, tmp_path: Path) -> SmallRoot:
    """A root whose dnf has the repository as its mutt.repo says, and RHEL's base from elsewhere."""
    base = tmp_path / "base"
    base.mkdir()
    provides = "\n".join(f"Provides: {each}" for each in sorted(set(needed(package))) if BASE.fullmatch(each))
    build_stand_in(BASE_SPEC.format(provides=provides), base)
    make_repository(base)
    root = SmallRoot(tmp_path / "root", base)
    root.make()
    repos = tmp_path / "repos"
    repos.mkdir()
    root.sources = [f"--setopt=reposdir={repos}", f"--repofrompath=base,file://{base}", "--setopt=base.gpgcheck=0"]
    shutil.copy(signed / "mutt.repo", repos)
    return root


def test_dnf_installs_what_the_key_signed(root: SmallRoot) -> None:
    done = root.dnf("install", "base-of-rhel", "mutt")
    assert done.returncode == 0, done.stdout
    assert "Key imported successfully" in done.stdout
    assert root.rpm("-q", "--queryformat", "%{EPOCH}", "mutt").stdout == "10"


def test_dnf_refuses_a_package_that_nobody_signed(root: SmallRoot, signed: Path, package: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(signed, forged)
    shutil.copy(package, forged)
    make_repository(forged)
    repo = tmp_path / "repos/mutt.repo"
    repo.write_text(
        repo.read_text().replace(f"baseurl=file://{signed}", f"baseurl=file://{forged}").replace("repo_gpgcheck=1", "")
    )
    done = root.dnf("install", "base-of-rhel", "mutt")
    assert done.returncode != 0
    assert "is not signed" in done.stdout
    assert root.rpm("-q", "mutt").returncode != 0


def test_dnf_refuses_an_index_that_was_changed(root: SmallRoot, signed: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(signed, forged)
    with (forged / "repodata/repomd.xml").open("a") as index:
        index.write("<!-- changed -->\n")
    repo = tmp_path / "repos/mutt.repo"
    repo.write_text(repo.read_text().replace(f"baseurl=file://{signed}", f"baseurl=file://{forged}"))
    done = root.dnf("install", "base-of-rhel", "mutt")
    assert done.returncode != 0
    assert "GPG verification" in done.stdout or "signature" in done.stdout.lower(), done.stdout


def test_a_key_that_is_not_there_is_named(key_ring: dict[str, str], tmp_path: Path) -> None:
    done = make_repo(tmp_path, {**key_ring, "GPG_KEY": "nobody@example.com"})
    assert done.returncode == 1
    assert "there is no secret key nobody@example.com" in done.stderr
