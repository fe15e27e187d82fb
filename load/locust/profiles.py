"""The profiles, and what each must keep to pass."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Users, seconds, and limits in milliseconds; ``users`` 0 means that the file says how many when.

    ``eps`` is what must have been accepted a second. ``drain_seconds`` is how long the queues may need afterwards.
    Failures (anything but 202 and 503) and lost or doubled events are never allowed.
    """

    name: str
    says: str
    users: int
    seconds: int
    p95: float
    p99: float
    eps: float = 0.0
    drain_seconds: float = 10.0
    may_wait: bool = False
    """Whether sources may be told to wait (503)."""


PROFILES = {
    each.name: each
    for each in (
        Profile("steady", "10,000 events/s in batches of 100, one ingest worker", 10, 60, 100, 250, eps=9_900),
        Profile("ramp", "up to 60,000 events/s", 0, 60, 5_000, 10_000, drain_seconds=120, may_wait=True),
        Profile("burst", "2,000 events/s, ten seconds of 40,000, and back", 0, 60, 5_000, 10_000, drain_seconds=60),
        Profile("sources", "1,000 devices, an event every other second each", 1000, 60, 500, 1_000, eps=450),
        Profile("relays", "20 relays, single messages and batches of 100", 20, 60, 250, 500, eps=4_500),
        Profile("operators", "100 people on the API, 5,000 events/s", 105, 60, 1_000, 2_500, eps=4_800),
        Profile("poison", "5,000 events/s, two in a hundred broken", 10, 60, 250, 500, eps=4_700),
    )
}
