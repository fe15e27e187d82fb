"""The journey of one event: everything that is known to have happened to it, hop by hop."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import redis

from mutt.admin.services import hops
from mutt.admin.services.sightings import Lookout, Place, Sighting
from mutt.admin.shapes.events import AuditedEvent, Delivery, EventJourney, Hop, Journeys
from mutt.errors import OutageError, Reason, RequestError
from mutt.events.ids import canonical_uuid
from mutt.rules.rule import FORWARDED
from mutt.settings import QueueSettings
from mutt.store import journeys
from mutt.store.journeys import MOST_DELIVERIES, MOST_EVENTS, Trace
from mutt.store.pool import Database
from mutt.store.reading import Row

STATES = {"waiting": "waiting", "parked": "waiting", "retrying": "retrying", "dead_lettered": "dead_letter"}
"""What the name of a sighting's hop says about the whole journey."""


class InRedis(NamedTuple):
    """What was found in Redis. ``outage`` is why it could not be looked at."""

    sightings: list[Sighting]
    depths: dict[Place, int]
    not_seen: dict[Place, int]
    circuit_is_open: bool = False
    outage: OutageError | None = None


class JourneyReader:
    """Reads journeys from PostgreSQL and, for what is on its way, from Redis."""

    def __init__(self, client: redis.Redis, database: Database, queues: QueueSettings) -> None:
        self._database = database
        self._lookout = Lookout(client, queues)

    def of(self, correlation_id: str) -> Journeys:
        """The journeys of everything that came under the id, oldest first.

        Raises RequestError (404) when nothing is known anywhere, and OutageError when PostgreSQL is away or when
        only Redis, which is away, could know something.
        """
        wanted = canonical_uuid(correlation_id)
        if wanted is None:
            raise RequestError(Reason.NOT_FOUND, 404, f"{correlation_id!r} is no UUID", field="correlation_id")
        trace = journeys.of(self._database, wanted)
        in_redis = self._look(wanted, trace)
        if not _all_ended(trace):
            # A step stands in PostgreSQL before Redis shows what came of it; what was read first may be older.
            trace = journeys.of(self._database, wanted)
        found = list(_journeys(trace, in_redis))
        if not found:
            raise _nothing_known(wanted, in_redis)
        return Journeys(correlation_id=wanted, journeys=found, problem=_problem(trace, in_redis))

    def _look(self, correlation_id: str, trace: Trace) -> InRedis:
        """The ends of the queues always; the dead letters only when something has not ended well."""
        try:
            waiting = self._lookout.waiting(correlation_id)
            circuit_is_open = self._lookout.circuit_is_open()
            if _all_ended(trace):
                return InRedis(waiting.found, waiting.depths, waiting.not_seen, circuit_is_open)
            letters = self._lookout.dead_letters(correlation_id)
        except OutageError as outage:
            return InRedis([], {}, {}, outage=outage)
        return InRedis(
            waiting.found + letters.found,
            waiting.depths | letters.depths,
            waiting.not_seen | letters.not_seen,
            circuit_is_open,
        )


def _all_ended(trace: Trace) -> bool:
    delivered = {row["event_id"] for row in trace.deliveries if row["outcome"] == "delivered"}
    started = {row["event_id"] for row in trace.deliveries}
    to_deliver = {row["event_id"] for row in trace.events if row["handling"] in FORWARDED}
    return bool(trace.events or started) and (started | to_deliver) <= delivered


def _journeys(trace: Trace, in_redis: InRedis) -> Iterable[EventJourney]:
    """One by event id, in the order of the audit; then those without an audit row."""
    events = {row["event_id"]: AuditedEvent(**row) for row in trace.events}
    deliveries: dict[str, list[Delivery]] = {}
    for row in trace.deliveries:
        deliveries.setdefault(row["event_id"], []).append(_delivery(row))
    sightings: dict[str, list[Sighting]] = {}
    nameless: list[Sighting] = []
    for sighting in in_redis.sightings:
        of_event = nameless if sighting.event_id is None else sightings.setdefault(sighting.event_id, [])
        of_event.append(sighting)
    for event_id in dict.fromkeys([*events, *deliveries, *sightings]):
        yield _journey(
            event_id, events.get(event_id), trace.rules, deliveries.get(event_id, []), sightings.get(event_id, []),
            in_redis,
        )  # fmt: skip
    for sighting in nameless:
        yield _journey("", None, {}, [], [sighting], in_redis)


def _delivery(row: Row) -> Delivery:
    return Delivery(**{name: value for name, value in row.items() if name != "event_id"})


def _journey(
    event_id: str,
    event: AuditedEvent | None,
    rules: dict[int, Row],
    deliveries: list[Delivery],
    sightings: list[Sighting],
    in_redis: InRedis,
) -> EventJourney:
    rule: dict[str, Any] | None = rules.get(event.rule_id) if event and event.rule_id is not None else None
    seen = [hops.of_sighting(each, in_redis.depths.get(each.place, 0), in_redis.circuit_is_open) for each in sightings]
    past = [hops.of_delivery(each) for each in deliveries] + [hop for hop in seen if hop.name == "dead_lettered"]
    now = [hop for hop in seen if hop.name != "dead_lettered"]
    way = _beginning(event_id, event, rule, sightings) + sorted(past, key=_when) + sorted(now, key=_when)
    state, sentence = _state(event, deliveries, now or seen, in_redis)
    return EventJourney(
        event=event, rule=rule, hops=hops.with_spans(way), deliveries=deliveries, state=state, sentence=sentence
    )


def _when(hop: Hop) -> tuple[bool, float]:
    return hop.at is None, hop.at.timestamp() if hop.at else 0.0


def _beginning(
    event_id: str, event: AuditedEvent | None, rule: dict[str, Any] | None, sightings: list[Sighting]
) -> list[Hop]:
    if event is not None:
        return hops.of_event(event, rule)
    if sightings:
        return hops.of_item(sightings[0].item)
    return [hops.raised(event_id)]


def _state(
    event: AuditedEvent | None, deliveries: list[Delivery], seen: list[Hop], in_redis: InRedis
) -> tuple[str, str]:
    """The state and the sentence that says it all. What is seen in Redis now counts more than what was logged."""
    if seen:
        return STATES[seen[-1].name], seen[-1].sentence
    if any(each.outcome == "delivered" for each in deliveries):
        return "settled", _delivered(event, deliveries)
    if event is not None and event.handling not in FORWARDED:
        return "decided", f"Nothing is delivered for {event.handling}: the journey ended with the decision."
    if in_redis.outage is not None:
        return "unknown", f"It is not known to be delivered; Redis could not be asked where it is: {in_redis.outage}"
    if deliveries and deliveries[-1].outcome == "dead_letter":
        at = hops.clock(deliveries[-1].attempted_at)
        letters = "the newest dead letters" if in_redis.not_seen.get(Place.FORWARDER_LETTERS) else "the dead letters"
        return "dead_letter", (
            f"It was given up at {at} and is no longer among {letters}: it is being replayed, or it was discarded."
        )
    unseen = in_redis.not_seen.get(Place.ALERT_QUEUE, 0)
    if unseen:
        return "waiting", f"Its alert is one of {unseen:,} in the middle of the alert queue, or in hand at a forwarder."
    return "unknown", "Its alert lies in no queue: a forwarder has it in hand. Look again in some seconds."


def _delivered(event: AuditedEvent | None, deliveries: list[Delivery]) -> str:
    at = next(each.attempted_at for each in deliveries if each.outcome == "delivered")
    team = f" for team {event.team_assignment}" if event is not None and event.team_assignment else ""
    since = f", {hops.span((at - event.ingestion_timestamp).total_seconds())} after it was received" if event else ""
    return f"Moogsoft took it{team} at {hops.clock(at)}{since}."


def _nothing_known(correlation_id: str, in_redis: InRedis) -> RequestError | OutageError:
    if in_redis.outage is not None:
        sentence = f"{correlation_id} is not in the audit log, and Redis could not be asked: {in_redis.outage}"
        return OutageError(in_redis.outage.reason, sentence)
    unseen = [f"{count:,} messages of {place}" for place, count in in_redis.not_seen.items() if count]
    rest = f"; {', '.join(unseen)} were not looked at" if unseen else ""
    sentence = (
        f"nothing is known of {correlation_id}: it is in no audit row, queue or dead letter{rest}. "
        "An event that was sent just now may be in hand: ask again in some seconds"
    )
    return RequestError(Reason.NOT_FOUND, 404, sentence, field="correlation_id")


def _problem(trace: Trace, in_redis: InRedis) -> str | None:
    if in_redis.outage is not None:
        return f"Redis could not be asked what waits there: {in_redis.outage}"
    if len(trace.events) >= MOST_EVENTS or len(trace.deliveries) >= MOST_DELIVERIES:
        return f"There is more: {MOST_EVENTS} events and {MOST_DELIVERIES} attempts are shown at most."
    return None
