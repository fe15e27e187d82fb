"""A real Prometheus of the tests' own, on a free port, that scrapes what it is told to."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import requests

from tests.support.redis_server import free_port
from tests.support.waiting import wait_until

PROGRAM = shutil.which("prometheus")


class PrivatePrometheus:
    """Scrapes the addresses (host:port) every 100 ms; or does what a whole ``configuration`` says."""

    def __init__(self, *targets: str, configuration: str | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = Path(tempfile.mkdtemp(prefix="mutt-prometheus-"))
        self._configuration = configuration or (
            "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n"
            f"scrape_configs: [{{job_name: mutt, static_configs: [{{targets: {list(targets)}}}]}}]\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        configuration = self._folder / "prometheus.yml"
        configuration.write_text(self._configuration)
        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [
                PROGRAM, f"--config.file={configuration}", f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self.answers, "Prometheus to answer", seconds=30)

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=1).status_code == 200
        except requests.RequestException:
            return False

    def api(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an answer of /api/v1."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        answer.raise_for_status()
        return answer.json()["data"]

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
