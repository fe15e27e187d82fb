"""Figures that each process of a program notes about itself every few seconds."""

import time
from collections.abc import Callable

import gevent
from prometheus_client import Gauge

from mutt.credentials import Credentials
from mutt.observability.metrics import ProgramMetrics
from mutt.store.pool import Database

SECONDS = 5.0


def keep(*samples: Callable[[], None], seconds: float = SECONDS) -> None:
    """Takes the samples now and then from now on. They must not raise."""

    def repeat() -> None:
        while True:
            for sample in samples:
                sample()
            gevent.sleep(seconds)

    gevent.spawn(repeat)


def of_secrets(metrics: ProgramMetrics, credentials: Credentials) -> Callable[[], None]:
    """The sample of how fresh the secrets are. As long as there are none their age is that of the process."""
    started = time.monotonic()

    def sample() -> None:
        age = credentials.age_seconds()
        metrics.credentials_age.set(time.monotonic() - started if age is None else age)
        metrics.credentials_next.set(credentials.next_check_seconds())

    return sample


def of_pool(in_use: Gauge, most: Gauge, database: Database) -> Callable[[], None]:
    """The sample of how busy the connections to PostgreSQL are."""

    def sample() -> None:
        in_use.set(database.connections_in_use)
        most.set(database.connections_max)

    return sample
