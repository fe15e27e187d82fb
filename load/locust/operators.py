"""Operators at the same time: a hundred people on the API while 5,000 events a second come in."""

from load.locust import users


class Person(users.Operator):
    """One of a hundred."""

    fixed_count = 100


class Feed(users.BatchSource):
    """Five sources, 5,000 events a second."""

    fixed_count = 5


__all__ = ["Feed", "Person"]
