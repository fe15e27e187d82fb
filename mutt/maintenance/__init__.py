"""Upkeep: partitions ahead, retention, archives and old dead letters; run every day and by hand."""
