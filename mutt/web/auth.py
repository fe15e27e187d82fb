"""API keys."""

import hmac

from mutt.credentials import Credentials


def key_is_valid(presented: str | None, name: str, credentials: Credentials) -> bool:
    """Whether the key is the current one or its successor. Takes the same time for any wrong key.

    Bytes are compared: compare_digest raises TypeError on text that is not ASCII. Raises CredentialsError when the
    secrets were never read.
    """
    given = (presented or "").encode("utf-8", "replace")
    valid = False
    for key in credentials.candidates(name):
        # Every candidate is compared, so that time does not tell which one was near.
        valid |= hmac.compare_digest(given, key.encode())
    return valid
