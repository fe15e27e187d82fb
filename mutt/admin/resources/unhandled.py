"""/unhandled: events that no rule matched, by pattern."""

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Operation
from mutt.admin.services.unhandled import Unhandled
from mutt.admin.shapes.unhandled import (
    Ignore,
    IgnoredPattern,
    PatternKey,
    UnhandledFilter,
    UnhandledPage,
    UnhandledPattern,
)


class UnhandledResource:
    """``default_limit`` is the size of a page when none is asked for."""

    def __init__(self, unhandled: Unhandled, default_limit: int) -> None:
        self._unhandled = unhandled
        self._default_limit = default_limit

    def operations(self) -> list[Operation]:
        one = "/unhandled/{pattern_id}"
        return [
            Operation("GET", "/unhandled", Scope.VIEWER, self.list, UnhandledPage, UnhandledFilter),
            Operation("GET", one, Scope.VIEWER, self.pattern, UnhandledPattern, PatternKey, problems=(404,)),
            Operation(
                "PUT", f"{one}/ignore", Scope.OPERATOR, self.ignore, IgnoredPattern, PatternKey, Ignore,
                problems=(404,),
            ),
        ]  # fmt: skip

    def list(self, call: Call) -> UnhandledPage:
        """Patterns of events that no rule matched, the most frequent first."""
        return self._unhandled.list(call.parameters, self._default_limit)

    def pattern(self, call: Call) -> UnhandledPattern:
        """One pattern with samples and a draft of a rule for it."""
        return self._unhandled.pattern(call.parameters.pattern_id)

    def ignore(self, call: Call) -> IgnoredPattern:
        """Ignores a pattern (it is counted and raises no meta-alert), or no longer."""
        return self._unhandled.ignore(call.parameters.pattern_id, call.body, call.author(call.body.reason))
