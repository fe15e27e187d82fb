"""The RPM: what is in it, what it asks of a host, and what dnf does with it on one."""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutt.settings import known_variables
from tests.appliance.conftest import CHECKOUT
from tests.appliance.small_root import (
    BASE_SPEC,
    MAIL_CLIENT_SPEC,
    PYTHON,
    SmallRoot,
    build_stand_in,
    make_repository,
)

pytestmark = pytest.mark.skipif(not shutil.which("rpmbuild"), reason="rpmbuild is missing (apt-get install rpm)")

BASE = re.compile(
    r"""(?:/bin/sh | bash | systemd | shadow-utils | /usr/bin/python3\.11 | rtld\(GNU_HASH\)
    | ld-linux-x86-64\.so\.2\(.*
    | (?:libc|libm|libdl|libpthread|libresolv|librt|libz|libgcc_s|libstdc\+\+)\.so\.\d+\(.*
    )""",
    re.VERBOSE,
)
"""What RHEL 8 and newer have in their base installation, and python3.11 from AppStream."""


def query(package: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["rpm", "-qp", *arguments, str(package)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def needed(package: Path) -> list[str]:
    """What the package asks of a host, without what RPM itself and the package provide."""
    return [line for line in query(package, "--requires") if not line.startswith(("rpmlib(", "config(mutt)"))]


class TestPackage:
    def test_two_builds_are_the_same_file(self, package: Path, package_again: Path) -> None:
        first, second = (hashlib.sha256(file.read_bytes()).hexdigest() for file in (package, package_again))
        assert first == second

    def test_it_outranks_the_mail_client(self, package: Path) -> None:
        assert query(package, "--queryformat", "%{NAME} %{EPOCH} %{VERSION}\n") == ["mutt 10 2.5.0"]

    def test_it_needs_nothing_but_the_base_system_and_python(self, package: Path) -> None:
        assert [line for line in needed(package) if not BASE.fullmatch(line)] == []

    def test_it_runs_on_the_glibc_of_rhel_8(self, package: Path) -> None:
        versions = re.findall(r"GLIBC_(\d+)\.(\d+)", "\n".join(needed(package)))
        assert max((int(major), int(minor)) for major, minor in versions) <= (2, 28)

    def test_it_provides_no_library_to_others(self, package: Path) -> None:
        assert [line for line in query(package, "--provides") if ".so" in line] == []

    def test_it_names_every_library_of_the_lock_file_as_bundled(self, package: Path) -> None:
        provided = re.findall(r"bundled\(python3dist\((\S+)\)\) = (\S+)", "\n".join(query(package, "--provides")))
        lock = (CHECKOUT / "requirements.lock").read_text()
        pinned = re.findall(r"^([a-z0-9.-]+)==([^\s;]+)(?!.*win32)", lock, re.MULTILINE)
        assert sorted(provided) == sorted(pinned)

    def test_settings_are_kept_on_updates_and_closed_to_strangers(self, package: Path) -> None:
        entries = query(
            package,
            "--queryformat",
            "[%{FILENAMES} %{FILEFLAGS:fflags} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]",
        )
        settings = [entry.split(maxsplit=1) for entry in entries if entry.startswith("/etc/") and " -" in entry]
        assert len(settings) == 7
        assert {rest for _, rest in settings} == {"cn -rw-r----- root:mutt"}

    def test_everything_of_the_checkout_is_in_it(self, package: Path) -> None:
        listed = set(query(package, "--list"))
        sources = {f"/usr/lib/mutt/site/{file.relative_to(CHECKOUT)}" for file in files_under(CHECKOUT / "mutt")}
        migrations = {f"/usr/share/mutt/sql/{file.name}" for file in (CHECKOUT / "sql").glob("*.sql")}
        assert sources | migrations <= listed

    def test_every_module_is_compiled(self, package: Path) -> None:
        listed = query(package, "--list")
        modules = {path.removesuffix(".py") for path in listed if path.endswith(".py")}
        compiled = {path.replace("__pycache__/", "").split(".cpython-")[0] for path in listed if path.endswith(".pyc")}
        assert modules == compiled

    def test_no_tests_and_no_keys_of_libraries_are_in_it(self, package: Path) -> None:
        listed = query(package, "--list")
        assert [path for path in listed if "/tests/" in path or path.endswith(".key")] == []

    def test_every_bundled_library_has_its_licence(self, package: Path) -> None:
        listed = "\n".join(query(package, "--list"))
        with_licence = {
            name.lower().replace(".", "-").replace("_", "-") for name in re.findall(r"licenses/mutt/([^/\n]+)/", listed)
        }
        bundled = set(re.findall(r"python3dist\(([^)]+)\)", "\n".join(query(package, "--provides"))))
        assert bundled <= with_licence
        vendored = [file.name.lower() for file in (CHECKOUT / "mutt/admin/static/vendor").iterdir() if file.is_dir()]
        assert {name.replace(".", "-") for name in vendored} <= with_licence

    @pytest.mark.skipif(not shutil.which("rpmlint"), reason="rpmlint is missing (apt-get install rpmlint)")
    def test_rpmlint_has_nothing_to_say(self, package: Path) -> None:
        command = ["rpmlint", "--config", "rpm/rpmlint.toml", "--rpmlintrc", "rpm/mutt.rpmlintrc", str(package)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert "0 errors, 0 warnings" in done.stdout, done.stdout + done.stderr

    def test_what_belongs_to_other_programs_is_in_it(self, package: Path) -> None:
        share = CHECKOUT / "rpm/share"
        expected = {
            "/usr/share/man/man1/mutt-admin.1.gz",
            "/usr/share/man/man5/mutt.env.5.gz",
            "/usr/share/man/man8/mutt-ingestor.8.gz",
            "/usr/share/bash-completion/completions/mutt-admin",
            "/usr/share/zsh/site-functions/_mutt-admin",
            "/usr/share/fish/vendor_completions.d/mutt-admin.fish",
            "/usr/share/doc/mutt-appliance/how-to/install-rhel.md",
            *(f"/usr/lib/firewalld/services/{file.name}" for file in share.glob("firewalld/*")),
            *(f"/usr/share/mutt/selinux/{file.name}" for file in share.glob("selinux/*")),
            *(f"/usr/share/mutt/rsyslog/{file.name}" for file in share.glob("rsyslog/*")),
            *(f"/usr/share/mutt/snmptrapd/{file.name}" for file in share.glob("snmptrapd/*")),
            *(
                f"/usr/share/mutt/{file.relative_to(CHECKOUT)}"
                for file in files_under(CHECKOUT / "monitoring")
                if "tests" not in file.relative_to(CHECKOUT).parts
            ),
        }
        assert expected - set(query(package, "--list")) == set()

    def test_no_file_is_one_of_the_mail_client(self, package: Path) -> None:
        """Its own folders and files, as RHEL's package lists them."""
        taken = re.compile(
            r"/etc/Muttrc|/usr/bin/(mutt$|muttbug|pgp|smime)|/usr/share/doc/mutt/|/usr/share/man/man./(mutt\.1|muttrc)"
        )
        assert [path for path in query(package, "--list") if taken.match(path)] == []

    def test_scriptlets_never_migrate_or_start(self, package: Path) -> None:
        scripts = "\n".join(query(package, "--scripts"))
        assert re.findall(r"mutt-admin|\bsystemctl (?:start|restart|enable)", scripts) == []


def files_under(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


# --- what dnf does with it ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def repository(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dnf repository with the package and the stand-in for RHEL."""
    folder = tmp_path_factory.mktemp("repository")
    provides = "\n".join(f"Provides: {each}" for each in sorted(set(needed(package))) if BASE.fullmatch(each))
    build_stand_in(BASE_SPEC.format(provides=provides), folder)
    shutil.copy(package, folder)
    make_repository(folder)
    return folder


@pytest.fixture(scope="module")
def root(repository: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallRoot:
    """A root with the package installed."""
    root = SmallRoot(tmp_path_factory.mktemp("host") / "root", repository)
    root.make()
    installed = root.dnf("install", "base-of-rhel", "mutt")
    assert installed.returncode == 0, installed.stdout
    root.copy_libraries_of(root.file("/usr/lib/mutt/site").rglob("*.so"))
    return root


@pytest.mark.skipif(not shutil.which("dnf"), reason="dnf is missing (apt-get install dnf)")
@pytest.mark.skipif(not shutil.which("createrepo_c"), reason="createrepo_c is missing (apt-get install createrepo-c)")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install into another root")
@pytest.mark.skipif(not Path(PYTHON).exists(), reason=f"{PYTHON} is missing, which RHEL's package brings")
class TestOnAHost:
    """In the order of a host's life: each test finds the root as the one before left it."""

    def test_installing_makes_the_user_and_verifies(self, root: SmallRoot) -> None:
        assert re.search(
            r"^mutt:x:\d+:\d+:.*:/var/lib/mutt:/sbin/nologin$", root.file("/etc/passwd").read_text(), re.MULTILINE
        )
        verified = root.rpm("--verify", "mutt")
        assert verified.stdout == ""

    def test_programs_run_with_the_bundled_libraries(self, root: SmallRoot) -> None:
        assert "2.5.0" in root.run("mutt-admin", "--version").stdout
        assert root.run("/usr/lib/mutt/bin/supervisord", "--version").stdout.strip() == "4.3.0"

    def test_python_of_the_environment_is_not_heeded(self, root: SmallRoot) -> None:
        done = root.run(
            "mutt-admin", "--version", PYTHONPATH="/nowhere", PYTHONHOME="/nowhere", PYTHONSTARTUP="/nowhere"
        )
        assert "2.5.0" in done.stdout

    @pytest.mark.parametrize("program", ["ingestor", "webui", "alerter", "forwarder", "remediation"])
    def test_a_program_without_settings_ends_with_78(self, root: SmallRoot, program: str) -> None:
        done = root.run(f"mutt-{program}")
        assert done.returncode == 78
        assert "VAULT_ADDR is not set" in done.stdout

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion_is_what_the_program_prints(self, root: SmallRoot, shell: str) -> None:
        printed = root.run("mutt-admin", "completion", shell).stdout
        kept = {"bash": "bash-completion/completions/mutt-admin", "zsh": "zsh/site-functions/_mutt-admin",
                "fish": "fish/vendor_completions.d/mutt-admin.fish"}  # fmt: skip
        assert root.file(f"/usr/share/{kept[shell]}").read_text() == printed

    def test_the_manual_names_every_setting(self, root: SmallRoot) -> None:
        page = gzip.decompress(root.file("/usr/share/man/man5/mutt.env.5.gz").read_bytes()).decode()
        assert set(re.findall(r"^\.B ([A-Z_0-9]+)$", page, re.MULTILINE)) == set(known_variables())

    def test_migrations_are_found(self, root: SmallRoot) -> None:
        code = "from mutt.store.migrations import known; print(len(known()))"
        done = root.run(PYTHON, "-c", code, PYTHONPATH="/usr/lib/mutt/site", PYTHONDONTWRITEBYTECODE="1")
        assert int(done.stdout) == len(list((CHECKOUT / "sql").glob("*.sql")))

    def test_running_programs_leaves_nothing_behind(self, root: SmallRoot) -> None:
        assert root.rpm("--verify", "mutt").stdout == ""
        owned = set(root.rpm("-ql", "mutt").stdout.split())
        found = {f"/{file.relative_to(root.path)}" for file in root.file("/usr/lib/mutt").rglob("*")}
        assert found <= owned

    def test_an_update_keeps_edited_settings(self, root: SmallRoot, repository: Path, later_package: Path) -> None:
        settings = root.file("/etc/mutt/mutt.env")
        with settings.open("a") as file:
            file.write("MUTT_SECRETS_BACKEND=file\n")
        shutil.copy(later_package, repository)
        make_repository(repository)
        updated = root.dnf("upgrade")
        assert updated.returncode == 0, updated.stdout
        assert root.rpm("-q", "--queryformat", "%{RELEASE}", "mutt").stdout == "2.el9"
        assert settings.read_text().endswith("MUTT_SECRETS_BACKEND=file\n")
        assert "A setting of the later version." in root.file("/etc/mutt/mutt.env.rpmnew").read_text()

    def test_a_downgrade_keeps_them_too(self, root: SmallRoot) -> None:
        downgraded = root.dnf("downgrade", "mutt")
        assert downgraded.returncode == 0, downgraded.stdout
        assert root.file("/etc/mutt/mutt.env").read_text().endswith("MUTT_SECRETS_BACKEND=file\n")

    def test_removing_keeps_settings_secrets_and_data(self, root: SmallRoot) -> None:
        root.file("/etc/mutt/secrets/secrets.env").write_text("INGEST_API_KEY=kept\n")
        root.file("/var/lib/mutt/data").write_text("kept\n")
        removed = root.dnf("remove", "mutt")
        assert removed.returncode == 0, removed.stdout
        assert root.file("/etc/mutt/mutt.env.rpmsave").read_text().endswith("MUTT_SECRETS_BACKEND=file\n")
        assert root.file("/etc/mutt/secrets/secrets.env").exists()
        assert root.file("/var/lib/mutt/data").exists()
        assert not root.file("/usr/lib/mutt").exists()

    def test_the_mail_client_is_not_replaced(self, root: SmallRoot, tmp_path: Path, repository: Path) -> None:
        build_stand_in(MAIL_CLIENT_SPEC, tmp_path)
        client = next((tmp_path / "noarch").glob("*.rpm"))
        assert root.rpm("-i", str(client)).returncode == 0
        refused = root.dnf("upgrade", "mutt")
        assert refused.returncode != 0
        assert "dnf remove mutt" in refused.stdout
        assert root.rpm("-q", "--queryformat", "%{EPOCH} %{VERSION}", "mutt").stdout == "5 2.2.6"
        assert root.file("/usr/bin/mutt").exists()
        assert root.rpm("--verify", "mutt").stdout == ""
