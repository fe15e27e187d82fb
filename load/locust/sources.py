"""Many small sources: a thousand devices, each with a connection of its own and an event every other second."""

from load.locust.users import SmallSource

__all__ = ["SmallSource"]
