"""Where the processes of one program put their figures. Imports nothing of prometheus_client, on purpose."""

import os
import shutil
from pathlib import Path


def prepare_dir(run_dir: Path, program: str) -> None:
    """Makes an empty directory for the figures of this start and names it to prometheus_client.

    To be called by a program's first process before prometheus_client is imported, which looks for the directory
    once. Figures of an earlier start would be added to this one's, so they go.
    """
    folder = run_dir / f"{program}-metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
