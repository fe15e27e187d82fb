"""Measurements: each one starts what it needs, prints what it saw and whether its goal was met, and ends."""
