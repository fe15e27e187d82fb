"""The machine and the versions that the figures belong to."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from load.bench.comparisons.pairs import ENVIRONMENTS
from load.stack.packages import postgres_folders, redis_command

LIBRARIES = ("mutt", "gevent", "gunicorn", "falcon", "msgspec", "redis", "hiredis", "psycopg2-binary", "hyperscan",
             "google-re2", "requests", "locust")  # fmt: skip


def describe() -> dict[str, str]:
    """What the page says about the machine, line by line."""
    cores, model = os.cpu_count(), _first(Path("/proc/cpuinfo"), r"model name\s*:\s*(.+)")
    memory = int(_first(Path("/proc/meminfo"), r"MemTotal:\s*(\d+)") or 0) / 1024 / 1024
    release = _first(Path("/etc/os-release"), r'PRETTY_NAME="(.+)"')
    return {
        "machine": f"{cores} x {model}, {memory:.0f} GiB memory",
        "system": f"{release}, Linux {platform.release()}",
        "Python": platform.python_version(),
        "Redis": _redis(),
        "PostgreSQL": _postgres(),
        "libraries": ", ".join(f"{name} {version}" for name in LIBRARIES if (version := _version(name))),
        "compared with": ", ".join(_others()),
    }


def _first(file: Path, pattern: str) -> str:
    try:
        found = re.search(pattern, file.read_text())
    except OSError:
        return ""
    return found.group(1).strip() if found else ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _said(command: list[str], pattern: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else ""


def _redis() -> str:
    found = redis_command()
    if found is None:
        return "none"
    done = subprocess.run([found[1], "--version"], executable=found[0], capture_output=True, text=True, check=False)
    words = re.search(r"v=(\S+)", done.stdout)
    return f"{words.group(1) if words else found[1]}, AOF every second"


def _postgres() -> str:
    folders = postgres_folders()
    said = _said([str(folders[0] / "postgres"), "--version"], r"\) ([0-9.]+)") if folders else ""
    return f"{said}, its own defaults (synchronous commits)"


def _others() -> list[str]:
    """Names and versions of the systems that MUTT is compared with and that are here."""
    flask = ENVIRONMENTS / "specification" / "bin" / "python"
    alerta = ENVIRONMENTS / "alerta" / "bin" / "python"
    script = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    rsyslogd = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "rsyslogd"
    alertmanager = shutil.which("prometheus-alertmanager") or "alertmanager"
    found = {
        "Flask": _said([str(flask), "-c", script, "flask"], r"^([0-9.]+)"),
        "Alertmanager": _said([alertmanager, "--version"], r"version ([0-9.]+)"),
        "Alerta": _said([str(alerta), "-c", script, "alerta-server"], r"^([0-9.]+)"),
        "rsyslog": _said([rsyslogd, "-v"], r"rsyslogd\s+([0-9.]+)"),
    }
    return [f"{name} {version}" if version else f"{name} (not here)" for name, version in found.items()]
