"""Writes the programs of /usr/lib/mutt/bin: launchers.py SETUP_CFG PYTHON FOLDER.

Our programs are the console_scripts of setup.cfg; supervisor's two are added, so that the appliance needs no
supervisor of the host. A launcher finds its libraries beside itself, so an unpacked tree runs from anywhere.
"""

import configparser
import sys
from collections.abc import Iterator
from pathlib import Path

SUPERVISOR = {
    "supervisord": "supervisor.supervisord:main",
    "supervisorctl": "supervisor.supervisorctl:main",
}

TEMPLATE = """\
#!{python} -I
import os
import sys

site = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "site")
sys.path.insert(0, site)
# The programs start their worker processes as "python -m mutt.workers": those look here too, and not in the folder
# they happen to be started from.
os.environ.update(PYTHONPATH=site, PYTHONSAFEPATH="1", PYTHONNOUSERSITE="1")
# supervisord's settings name the programs by it; supervisorctl reads them too.
os.environ.setdefault("MUTT_BIN", os.path.join(os.path.dirname(site), "bin"))

from {module} import {function}

sys.exit({function}())
"""


def entry_points(setup_cfg: Path) -> Iterator[tuple[str, str]]:
    """Name and module:function of every program."""
    config = configparser.ConfigParser()
    config.read_string(setup_cfg.read_text())
    for line in config["options.entry_points"]["console_scripts"].strip().splitlines():
        name, target = line.split("=")
        yield name.strip(), target.strip()
    yield from SUPERVISOR.items()


def main(setup_cfg: str, python: str, folder: str) -> None:
    for name, target in entry_points(Path(setup_cfg)):
        module, function = target.split(":")
        file = Path(folder, name)
        file.write_text(TEMPLATE.format(python=python, module=module, function=function))
        file.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
