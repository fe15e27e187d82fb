"""Relays as rsyslog's omhttp is one: half post every message by itself, half post batches, all as lines."""

from load.locust.users import BatchRelay, SingleRelay

__all__ = ["BatchRelay", "SingleRelay"]
