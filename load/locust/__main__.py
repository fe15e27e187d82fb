"""Runs profiles against an appliance of their own: ``python -m load.locust steady [--seconds 60]``.

Each prints its thresholds as MET or MISSED and leaves Locust's report in var/locust/. Ends with 1 when one is missed.
``drive`` is no profile: it says what Locust can drive on a core, beside the raw generator.
"""

import argparse
import sys
from collections.abc import Sequence

from load.bench.figures import as_text
from load.bench.rig import end_on_signals, rig
from load.locust.profiles import PROFILES
from load.locust.runner import drive, run
from load.stack.console import say


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.locust", description="Runs Locust profiles.")
    parser.add_argument("profiles", nargs="+", choices=[*PROFILES, "all", "drive"])
    parser.add_argument("--seconds", type=int, help="instead of the profile's own time")
    options = parser.parse_args(arguments)
    end_on_signals()
    chosen = list(PROFILES) if "all" in options.profiles else options.profiles
    figures = []
    with rig() as made:
        for name in chosen:
            figures += drive(made) if name == "drive" else run(made, PROFILES[name], options.seconds)
    say(as_text(figures))
    return 1 if any(figure.verdict == "MISSED" for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
