"""Steady: ten sources, 10,000 events a second in batches of 100."""

from load.locust.users import BatchSource

__all__ = ["BatchSource"]
