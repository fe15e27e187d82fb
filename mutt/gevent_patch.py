"""Importing this module makes the standard library cooperative; it is a worker's first import."""

from gevent import monkey

monkey.patch_all()
