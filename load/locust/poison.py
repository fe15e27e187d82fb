"""Mixed with poison: 5,000 events a second of which two in a hundred are broken."""

from load.locust.users import PoisonedSource

__all__ = ["PoisonedSource"]
