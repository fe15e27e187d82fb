"""The laptop stack: the whole appliance on one machine, with its own Redis, PostgreSQL and Moogsoft receiver.

``bootstrap`` runs under the system's Python and prepares the virtual environment; everything else runs inside it.
Nothing here touches the system's own services: servers listen on loopback only and keep their data under ``var/``.
"""
