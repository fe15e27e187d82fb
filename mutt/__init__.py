"""MUTT, the Multi-Use Telemetry Tool: from a device's syslog line to the person who must be woken."""

__version__ = "2.5.0"

API_VERSION = "2.5"
"""The version that /health and the API headers state; the package and the RPM say 2.5.0."""
