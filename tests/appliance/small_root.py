"""A root folder to install packages into: what their scriptlets and our programs need, copied from this host.

It stands in for a RHEL host as far as RPM is concerned. A package `base-of-rhel` provides what RHEL's own packages
would, so that dnf resolves every dependency of ours and finds any that RHEL does not have.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

COMMANDS = ("bash", "sh", "getent", "groupadd", "useradd", "touch", "cat", "env")
PYTHON = "/usr/bin/python3.11"
SHARED_LIBRARY = re.compile(r"(/\S+\.so[.\d]*) \(0x")

BASE_SPEC = """\
Name: base-of-rhel
Version: 9
Release: 1
Summary: Stand-in for what every RHEL host has
License: MIT
BuildArch: noarch
AutoReqProv: no
{provides}
%description
%summary
%files
"""

MAIL_CLIENT_SPEC = """\
Name: mutt
Epoch: 5
Version: 2.2.6
Release: 1.el9
Summary: Stand-in for the mail client of this name
License: GPL-2.0-or-later
BuildArch: noarch
AutoReqProv: no
%description
%summary
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc
echo 'echo the mail client' >%{buildroot}/usr/bin/mutt
echo '# the mail client' >%{buildroot}/etc/Muttrc
%files
/usr/bin/mutt
/etc/Muttrc
"""


class SmallRoot:
    """The root folder ``path``; dnf takes packages from the folder ``repository``, or as ``sources`` says."""

    def __init__(self, path: Path, repository: Path) -> None:
        self.path = path
        self.sources = [
            "--setopt=reposdir=/dev/null",
            f"--repofrompath=appliance,file://{repository}",
            "--setopt=appliance.gpgcheck=0",
        ]
        self._environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(path.parent), "LC_ALL": "C.UTF-8"}
        # Debian's rpm keeps its database elsewhere; dnf reads this file too.
        (path.parent / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")

    def make(self) -> None:
        for folder in ("etc", "var/lib", "var/log", "tmp", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "dev"):
            (self.path / folder).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.path / name).symlink_to(f"usr/{name}")
        (self.path / "dev/null").touch()
        for name, content in {"passwd": "root:x:0:0::/:/bin/sh\n", "group": "root:x:0:\n", "shadow": ""}.items():
            (self.path / "etc" / name).write_text(content)
        for command in COMMANDS:
            self._copy_program(Path(str(shutil.which(command, path=self._environ["PATH"]))))
        self._copy_python()

    def _copy_python(self) -> None:
        self._copy_program(Path(PYTHON))
        ignored = shutil.ignore_patterns("test", "tests", "idlelib", "tkinter", "lib2to3", "config-*", "__pycache__")
        library = self.path / "usr/lib/python3.11"
        shutil.copytree("/usr/lib/python3.11", library, symlinks=False, ignore=ignored, ignore_dangling_symlinks=True)
        self.copy_libraries_of(library.rglob("*.so"))

    def _copy_program(self, program: Path) -> None:
        shutil.copy(program, self.path / "usr/bin" / program.name)
        self.copy_libraries_of([program])

    def copy_libraries_of(self, objects: Iterable[Path]) -> None:
        """Brings the host's shared libraries that the programs or libraries load."""
        listed = subprocess.run(["ldd", *map(str, objects)], capture_output=True, text=True, check=False).stdout
        for found in set(SHARED_LIBRARY.findall(listed)):
            target = self.path / found.lstrip("/")
            if not target.exists() and not found.startswith(str(self.path)):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, target)

    def dnf(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs dnf on the root; its output, errors too, is in stdout."""
        command = [
            "dnf", "-y", f"--installroot={self.path}", "--releasever=9", *self.sources,
            "--setopt=install_weak_deps=False", "--setopt=metadata_expire=0", *arguments,
        ]  # fmt: skip
        return self._run(command)

    def rpm(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self._run(["rpm", "--root", str(self.path), *arguments])

    def run(self, *command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command inside the root."""
        return self._run(["chroot", str(self.path), *command], environ)

    def _run(self, command: list[str], environ: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            env={**self._environ, **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
        )

    def file(self, path: str) -> Path:
        return self.path / path.lstrip("/")


def build_stand_in(spec: str, folder: Path) -> None:
    """Builds the package of a spec file text into the folder."""
    name = re.findall(r"^Name: (\S+)", spec, re.MULTILINE)[0]
    file = folder / f"stand-in-{name}.spec"
    file.write_text(spec)
    command = [
        "rpmbuild",
        "-bb",
        "--nodeps",
        f"--define=_topdir {folder}/build",
        f"--define=_rpmdir {folder}",
        str(file),
    ]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    shutil.rmtree(folder / "build", ignore_errors=True)


def make_repository(folder: Path) -> None:
    subprocess.run(["createrepo_c", "--quiet", str(folder)], check=True, capture_output=True)
