"""A comparison: MUTT and the other, one after the other, as often as is asked, and the medians of both."""

import statistics
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from load.bench.figures import Figure
from load.stack.console import StackError, run_logged, step
from load.stack.layout import ROOT

Measurement = Callable[[], tuple[float, float]]
"""Events a second, and CPU microseconds an event of everything that serves."""

ENVIRONMENTS = ROOT / "var" / "bench"


def compare(
    part: str, ours: Measurement, theirs: Measurement, repeats: int, unit: str, goal: float = 1.0
) -> list[Figure]:
    """The other's figures, and how many times as fast MUTT is; ``goal`` is how many times are wanted."""
    pairs = [(theirs(), ours()) for _ in range(repeats)]
    if not all(rate for pair in pairs for rate, _ in pair):
        raise StackError(f"{part}: nothing went through")
    rates = [ours_rate / theirs_rate for (theirs_rate, _), (ours_rate, _) in pairs]
    costs = [theirs_cost / ours_cost for (_, theirs_cost), (_, ours_cost) in pairs if ours_cost]
    of = f"median of {repeats}" if repeats > 1 else "once"
    return [
        Figure(part, "its rate", _median([pair[0][0] for pair in pairs]), unit,
               note=f"{_median([pair[0][1] for pair in pairs]):,.0f} CPU us/event, {of}"),
        Figure(part, "MUTT's rate beside it", _median([pair[1][0] for pair in pairs]), unit,
               note=f"{_median([pair[1][1] for pair in pairs]):,.0f} CPU us/event"),
        Figure(part, "MUTT is as fast", _median(rates), "times", goal,
               note=f"and takes {1 / _median(costs):.0%} of its CPU an event; {of}"),
    ]  # fmt: skip


def absent(part: str, reason: str) -> list[Figure]:
    """The line of a comparison that could not be made."""
    return [Figure(part, "not compared", None, "", note=reason)]


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def environment(name: str, packages: Sequence[str]) -> Path:
    """The folder of programs of a virtual environment that holds these packages; made when it is not there.

    Raises StackError when they cannot be installed.
    """
    folder = ENVIRONMENTS / name
    stamp = folder / ".complete"
    if not stamp.exists():
        with step(f"Installing {' '.join(packages)} into {folder.relative_to(ROOT)}"):
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run_logged([*pip, "--only-binary", ":all:", *packages], ENVIRONMENTS / f"{name}.log")
        stamp.touch()
    return folder / "bin"
