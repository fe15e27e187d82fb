"""The ledger: what the sources know about every event they sent."""

from collections.abc import Iterable
from enum import IntEnum


class State(IntEnum):
    """What an answer said about an event. A later answer never takes back what an earlier one said."""

    OFFERED = 0
    """Never sent, or no answer yet."""
    REFUSED = 1
    """Every answer said that it was not taken."""
    UNKNOWN = 2
    """An answer was lost, or said so: it may have been taken."""
    ACKNOWLEDGED = 3
    """Answered 202: from here on it must not be lost."""


class Ledger:
    """The state of every event by its correlation id, and which of them must reach the webhook."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self.to_forward: set[str] = set()
        self.poison: dict[str, str] = {}
        """Events that must end as dead letters, with the reason that their letter must give."""

    def offer(self, correlation_id: str, forward: bool, poison: str = "") -> None:
        self._states[correlation_id] = State.OFFERED
        if forward:
            self.to_forward.add(correlation_id)
        if poison:
            self.poison[correlation_id] = poison

    def record(self, correlation_ids: Iterable[str], state: State) -> None:
        for each in correlation_ids:
            self._states[each] = max(self._states[each], state)

    def all_in(self, *states: State) -> set[str]:
        return {each for each, state in self._states.items() if state in states}

    def __contains__(self, correlation_id: str) -> bool:
        return correlation_id in self._states

    def __len__(self) -> int:
        return len(self._states)

    def count(self, state: State) -> int:
        return sum(each is state for each in self._states.values())
