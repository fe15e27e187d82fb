"""The fault suite: the whole appliance under load while processes die, servers go away and clients misbehave.

``python -m tests.chaos`` runs the rows of the table in docs/reference/fault-suite.md; each row keeps a ledger of what
was acknowledged and compares it, at rest, with what was audited, dead-lettered and received.
"""
