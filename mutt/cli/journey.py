"""The journey of an event as a person reads it: for ``events show`` and ``send-test``."""

from mutt.admin.shapes.events import EventJourney, Hop, Journeys
from mutt.cli.output import say, show_members, show_table, shown_duration, shown_time


def show_journeys(found: Journeys, wide: bool = False) -> None:
    """One after the other; several events may share a correlation id."""
    for place, journey in enumerate(found.journeys):
        if place:
            say("")
        _show(journey, wide)


def show_hops(hops: list[Hop], wide: bool = False) -> None:
    """A line for each hop: when, how long after the one before, what happened."""
    rows = [
        [_moment(hop), shown_duration(hop.seconds_since_previous), hop.name, hop.sentence]
        for hop in hops
    ]  # fmt: skip
    show_table(["TIME", "AFTER", "HOP", "WHAT"], rows, [] if wide else ["WHAT"], fold=True)


def _show(journey: EventJourney, wide: bool) -> None:
    event = journey.event
    members: dict[str, object] = {"state": journey.state, "": journey.sentence}
    if event:
        members |= {"host": event.hostname, "message": event.message, "handling": event.handling,
                    "team": event.team_assignment, "rule": event.rule_id}  # fmt: skip
    show_members(members)
    say("")
    show_hops(journey.hops, wide)


def _moment(hop: Hop) -> str:
    """To the millisecond: hops follow each other quickly."""
    return f"{shown_time(hop.at)[:-1]}.{hop.at.microsecond // 1000:03d}Z" if hop.at else "-"
