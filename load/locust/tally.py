"""What the sources were promised, kept by each Locust process and written when it ends."""

import os
import time
from pathlib import Path

import msgspec

COUNTS = ("accepted", "forwardable", "rejected", "told_to_wait", "unknown")
FOLDER_VARIABLE = "LOCUST_TALLY_DIR"


class Tally(msgspec.Struct):
    """Events by what the answers said of them; ``unknown``: nobody knows what became of these."""

    accepted: int = 0
    forwardable: int = 0
    rejected: int = 0
    told_to_wait: int = 0
    unknown: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    """Unix time of the first and the last answer."""

    @property
    def seconds(self) -> float:
        return max(self.last_at - self.first_at, 0.001)

    def count(self, name: str, events: int) -> None:
        setattr(self, name, getattr(self, name) + events)
        self.last_at = time.time()
        self.first_at = self.first_at or self.last_at


counted = Tally()


def write() -> None:
    """One file a process, so that the workers of a distributed run count too."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        Path(folder, f"{os.getpid()}.json").write_bytes(msgspec.json.encode(counted))


def read(folder: Path) -> Tally:
    """The sum over all processes."""
    total = Tally()
    for file in folder.glob("*.json"):
        part = msgspec.json.decode(file.read_bytes(), type=Tally)
        for name in COUNTS:
            setattr(total, name, getattr(total, name) + getattr(part, name))
        if part.first_at:
            total.first_at = min(total.first_at or part.first_at, part.first_at)
            total.last_at = max(total.last_at, part.last_at)
    return total
