"""The files for other programs that the package brings; what rsyslog and snmptrapd do with theirs: tests/sources."""

import runpy
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.appliance.conftest import CHECKOUT

SHARE = CHECKOUT / "rpm/share"


def test_snippets_are_those_that_mutt_admin_prints() -> None:
    done = runpy.run_path(str(CHECKOUT / "rpm/snippets.py"))
    printed = dict(done["snippets"]())
    kept = {file: file.read_text() for folder in ("rsyslog", "snmptrapd") for file in (SHARE / folder).iterdir()}
    assert kept == printed, "run: python rpm/snippets.py"


@pytest.mark.parametrize(
    ("name", "ports"), [("ingest", "8080"), ("webui", "8090"), ("metrics", "8081-8087")], ids=["in", "web", "metrics"]
)
def test_a_firewall_service_opens_its_ports(name: str, ports: str) -> None:
    service = ElementTree.parse(SHARE / f"firewalld/mutt-{name}.xml").getroot()  # noqa: S314 - our own file
    assert [(port.get("protocol"), port.get("port")) for port in service.iter("port")] == [("tcp", ports)]


CIL_BASE = """\
(sid kernel)(sidorder (kernel))(class tcp_socket (name_connect name_bind))(classorder (tcp_socket))
(sensitivity s0)(sensitivityorder (s0))(category c0)(categoryorder (c0))(sensitivitycategory s0 (c0))
(user u)(role r)(type t)(type syslogd_t)(type http_cache_port_t)(typeattribute cil_gen_require)
(userrole u r)(roletype r t)(userlevel u (s0))(userrange u ((s0)(s0 (c0))))
(sidcontext kernel (u r t ((s0)(s0))))(allow t self (tcp_socket (name_connect)))
"""


@pytest.mark.skipif(not shutil.which("secilc"), reason="secilc is missing (apt-get install secilc)")
def test_the_selinux_module_compiles(tmp_path: Path) -> None:
    """With types of the same names; whether RHEL's policy gives them that meaning only a RHEL host shows."""
    base = tmp_path / "base.cil"
    base.write_text(CIL_BASE)
    module = str(SHARE / "selinux/mutt-rsyslog.cil")
    command = ["secilc", "-o", str(tmp_path / "policy"), "-f", str(tmp_path / "contexts"), str(base), module]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
