"""What Locust itself can drive: single events without any pause, from sources that do nothing but post."""

from locust import constant

from load.locust import users


class Driver(users.Source):
    """Posts again as soon as it is answered."""

    batch = 1
    wait_time = constant(0)


__all__ = ["Driver"]
