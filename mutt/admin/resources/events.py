"""/audit-logs: the event audit; /events/{correlation_id}: the journey of one event."""

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Operation
from mutt.admin.services.events import EventAudit
from mutt.admin.services.journeys import JourneyReader
from mutt.admin.shapes.events import EventConditions, EventFilter, EventKey, EventPage, Journeys

CSV = "text/csv; charset=utf-8"


class EventsResource:
    """``default_limit`` is the size of a page when none is asked for."""

    def __init__(self, events: EventAudit, journeys: JourneyReader, default_limit: int) -> None:
        self._events = events
        self._journeys = journeys
        self._default_limit = default_limit

    def operations(self) -> list[Operation]:
        return [
            Operation("GET", "/audit-logs", Scope.VIEWER, self.list, EventPage, EventFilter),
            Operation("GET", "/audit-logs/export", Scope.VIEWER, self.export, bytes, EventConditions, content_type=CSV),
            Operation(
                "GET", "/events/{correlation_id}", Scope.VIEWER, self.journey, Journeys, EventKey, problems=(404,)
            ),
        ]

    def list(self, call: Call) -> EventPage:
        """Every event that was accepted, newest first, with what was decided about it."""
        return self._events.list(call.parameters, self._default_limit)

    def export(self, call: Call) -> bytes:
        """The newest 50,000 of the events as CSV."""
        call.filename = "mutt-events.csv"
        return self._events.csv(call.parameters)

    def journey(self, call: Call) -> Journeys:
        """What happened to an event, hop by hop, and where it is now."""
        return self._journeys.of(call.parameters.correlation_id)
