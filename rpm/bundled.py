"""What the RPM bundles, read from requirements.lock: the pinned wheels of one kind of host, with their hashes.

    bundled.py requirements LOCK PYTHON   requirement lines for pip --require-hashes, without markers
    bundled.py provides LOCK PYTHON       a Provides: bundled(...) line for each, for the spec file
    bundled.py platforms ARCH             pip's --platform options for RHEL 8 (glibc 2.28) and newer

PYTHON is the minor version on the host, as in 3.11. Only pip is needed: it brings the parser of the markers.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pip._vendor.packaging.requirements import Requirement

MANYLINUX_GLIBC = range(28, 16, -1)
"""Minor versions of glibc that a wheel may ask for: 2.17 (manylinux2014) to RHEL 8's 2.28."""


class Pin(NamedTuple):
    """One library of the lock file."""

    name: str
    version: str
    hashes: tuple[str, ...]


def pins(lock: Path, python: str) -> Iterator[Pin]:
    """The libraries that a Linux host with this Python needs, in the order of the lock file."""
    for entry in lock.read_text().replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        text, *hashes = re.split(r"\s+--hash=", entry.strip())
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(_host(python)):
            yield Pin(requirement.name, _version(requirement), tuple(hashes))


def _host(python: str) -> dict[str, str]:
    """The markers' variables. RHEL's first 3.11 was 3.11.2; what only that one needs does no harm to a later one."""
    return {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "python_version": python,
        "python_full_version": f"{python}.2",
        "extra": "",
    }


def _version(requirement: Requirement) -> str:
    pinned = re.fullmatch(r"==([^,*]+)", str(requirement.specifier))
    if not pinned:
        sys.exit(f"{requirement}: the lock file must pin one version with ==")
    return pinned[1]


def requirement_line(pin: Pin) -> str:
    return " ".join([f"{pin.name}=={pin.version}", *(f"--hash={digest}" for digest in pin.hashes)])


def provides_line(pin: Pin) -> str:
    name = re.sub(r"[-_.]+", "-", pin.name).lower()
    return f"Provides: bundled(python3dist({name})) = {pin.version}"


def platforms(arch: str) -> Iterator[str]:
    for minor in MANYLINUX_GLIBC:
        yield f"--platform=manylinux_2_{minor}_{arch}"
    yield f"--platform=manylinux2014_{arch}"


def main(arguments: list[str]) -> None:
    match arguments:
        case ["requirements", lock, python]:
            lines: Iterator[str] = map(requirement_line, pins(Path(lock), python))
        case ["provides", lock, python]:
            lines = map(provides_line, pins(Path(lock), python))
        case ["platforms", arch]:
            lines = platforms(arch)
        case _:
            sys.exit(__doc__)
    print(*lines, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
