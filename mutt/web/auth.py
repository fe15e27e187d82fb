"""API keys."""

import hmac

import falcon

from mutt.credentials import Credentials


def header_key(req: falcon.Request) -> bytes:
    """The key of the X-API-KEY header as it came; WSGI hands header bytes on as latin-1."""
    return (req.get_header("X-API-KEY") or "").encode("latin-1", "replace")


def key_is_valid(presented: bytes, name: str, credentials: Credentials) -> bool:
    """Whether the key is the current one or its successor. Takes the same time for any wrong key.

    Bytes are compared: compare_digest raises TypeError on text that is not ASCII. Raises CredentialsError when the
    secrets were never read.
    """
    valid = False
    for key in credentials.candidates(name):
        # Every candidate is compared, so that time does not tell which one was near.
        valid |= hmac.compare_digest(presented, key.encode())
    return valid
