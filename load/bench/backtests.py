"""The backtest's own measurement as a part of the whole; ``python -m load.bench.backtest`` says more."""

import re
import subprocess
import sys

from load.bench.effort import Effort
from load.bench.figures import Figure, at_most
from load.bench.rig import Rig
from load.stack.console import StackError
from load.stack.layout import ROOT

LONGEST_SECONDS = 600.0


def measure(_rig: Rig, effort: Effort) -> list[Figure]:
    """Its goal line and its rate. It brings a PostgreSQL of its own, so it is a process of its own."""
    command = [sys.executable, "-m", "load.bench.backtest", "--rows", str(effort.backtest_rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as process:
        try:
            said = process.communicate(timeout=LONGEST_SECONDS)[0]
        except BaseException:
            process.terminate()  # It stops its PostgreSQL and ends.
            raise
    seconds = re.search(r"^(?:MET|MISSED) .*: ([0-9.]+) s(.*)$", said, re.MULTILINE)
    rate = re.search(r"^backtest: .*, ([0-9,]+) rows/s", said, re.MULTILINE)
    if seconds is None or rate is None:
        raise StackError(f"the backtest's measurement failed: {said[-1000:]}")
    note = f"{rate.group(1)} rows/s{seconds.group(2)}"
    return [at_most("backtest", "1,000,000 rows, 100 rules", float(seconds.group(1)), "s", 60, note)]
