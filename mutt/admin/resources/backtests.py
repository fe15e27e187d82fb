"""/rules/backtest and /rules/hygiene: what other rules would have done, and which rules want a look."""

from collections.abc import Iterator

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Operation
from mutt.admin.services.backtests import Backtests
from mutt.admin.services.hygiene import RuleHygiene
from mutt.admin.shapes.rules import BacktestProgress, BacktestRequest, Hygiene, HygieneFilter


class BacktestsResource:
    def __init__(self, backtests: Backtests) -> None:
        self._backtests = backtests

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "POST", "/rules/backtest", Scope.VIEWER, self.run, BacktestProgress,
                body=BacktestRequest, streams=True, problems=(404, 409), tag="rules",
                most_body_bytes=16 * 1024 * 1024,
            )
        ]  # fmt: skip

    def run(self, call: Call) -> Iterator[BacktestProgress]:
        """What a draft, the removal of a rule or another rule set would have done with past events."""
        return self._backtests.run(call.body)


class HygieneResource:
    def __init__(self, hygiene: RuleHygiene) -> None:
        self._hygiene = hygiene

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET", "/rules/hygiene", Scope.VIEWER, self.look, Hygiene, parameters=HygieneFilter, tag="rules"
            )
        ]  # fmt: skip

    def look(self, call: Call) -> Hygiene:
        """Active rules that are unused, hidden behind others, stored twice or not usable."""
        return self._hygiene.look(call.parameters.days)
