"""Locust profiles: load as many real clients make it, judged by thresholds and by the accounting.

``python -m load.locust steady`` starts the appliance and Locust on this machine. The files named for a profile are
ordinary locustfiles, so that Locust's own command can run them, distributed too: see docs/performance.md.
"""
