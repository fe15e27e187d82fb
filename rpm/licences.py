"""Gathers the licences of the bundled libraries: licences.py SITE FOLDER.

Copies every licence file of the installed wheels to FOLDER/NAME/ and writes FOLDER/BUNDLED, a table of what is
bundled under which licence. Fails when a library names no licence at all.
"""

import re
import shutil
import sys
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

LICENCE_FILE = re.compile(r"licen[cs]e|copying|notice|copyright|authors", re.IGNORECASE)

INSIDE_WHEELS = """
Some wheels contain compiled libraries of others:

gevent           libev (BSD-2-Clause), c-ares (MIT)
google-re2       RE2 (BSD-3-Clause), Abseil (Apache-2.0)
hiredis          hiredis (BSD-3-Clause)
psycopg2-binary  libpq (PostgreSQL), OpenSSL (Apache-2.0), MIT Kerberos and libcom_err (MIT), OpenLDAP (OLDAP-2.8),
                 Cyrus SASL (BSD-3-Clause-Attribution), keyutils (LGPL-2.1-or-later), libselinux (public domain),
                 PCRE (BSD-3-Clause), libcrypt (LGPL-2.1-or-later)
"""


def licence_of(metadata: Message) -> str:
    """The licence a wheel names, as short as it names it."""
    classifiers = [each for each in metadata.get_all("Classifier", []) if each.startswith("License ::")]
    named = metadata["License-Expression"] or metadata["License"] or ""
    if named and len(named) <= 80 and "\n" not in named:
        return named
    return "; ".join(each.rpartition(" :: ")[2] for each in classifiers)


def copy_files(dist_info: Path, folder: Path) -> None:
    for file in sorted(dist_info.rglob("*")):
        if file.is_file() and (LICENCE_FILE.search(file.name) or "licenses" in file.parts):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / file.name)


def main(site: str, target: str) -> None:
    lines = []
    for dist_info in sorted(Path(site).glob("*.dist-info"), key=lambda path: path.name.lower()):
        metadata = HeaderParser().parsestr((dist_info / "METADATA").read_text(encoding="utf-8"))
        licence = licence_of(metadata)
        if not licence:
            sys.exit(f"{dist_info.name} names no licence")
        lines.append(f"{metadata['Name']:<19} {metadata['Version']:<13} {licence}")
        copy_files(dist_info, Path(target, metadata["Name"]))
    Path(target, "BUNDLED").write_text("\n".join(lines) + "\n" + INSIDE_WHEELS)


if __name__ == "__main__":
    main(*sys.argv[1:])
