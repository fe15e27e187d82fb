"""The pattern of a message: what stays when its variable parts are masked.

Repeats of one fault differ in numbers, addresses and names of interfaces. Masked, they are one line in the list of
unhandled patterns and one signature in Moogsoft.
"""

import hashlib
import re
from functools import lru_cache

LOOK_AT = 2048
"""Characters of the message that make the pattern: syslog says what it is about at the start."""

MAX_PATTERN = 200
"""Characters of a pattern that are kept for people to read; see mutt.redisdb.keys.unhandled."""

_TOKEN = re.compile(r"""\"[^\"]*\"|(?<!\w)'[^']*'|(?<![\w.:/%+-])[A-Za-z_.:/%+-]*[0-9][\w.:/%+-]*""")
"""Quoted text, or a word with a digit in it; the look-behind keeps the scan linear in the length of the message."""

_WHOLE_TOKENS = tuple(
    (re.compile(expression, re.ASCII), masked)
    for expression, masked in (
        (r"%.*", None),  # a mnemonic (%LINK-3-UPDOWN) is what the message is about: it stays
        (r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "<uuid>"),
        (r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}|(?:[0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}", "<mac>"),
        (r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:[:/][0-9]{1,5})?", "<ip>"),
        (r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T?)?(?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]+)?)?(?:Z|[+-][0-9:]+)?",
         "<time>"),
        (r"(?=.*:.*:)[0-9a-fA-F:]{2,39}(?:/[0-9]{1,3})?", "<ip>"),
        (r"(?:[A-Za-z]{1,20}[A-Za-z-]{0,20}-?)[0-9]+(?:[/:][0-9]+)+(?:\.[0-9]+)?", "<if>"),
        (r"(?i:(?:gi|te|fa|eth|po|vlan|lo|loopback|tunnel|irb|ae|bond|ethernet|serial|mgmt|port-channel)[0-9]+(?:\.[0-9]+)?)",
         "<if>"),
        (r"0[xX][0-9a-fA-F]+|(?=.*[0-9])(?=.*[a-fA-F])[0-9a-fA-F]{8,64}", "<hex>"),
    )
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z_]*[G-Zg-z_][A-Za-z_]*")
_DIGITS = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_PUNCTUATION = ".,:;/-+"


@lru_cache(maxsize=8192)
def _mask_token(token: str) -> str:
    if token[0] in "\"'":
        return '"*"'
    word = token.strip(_PUNCTUATION)
    before, after = token[: token.find(word)], token[token.find(word) + len(word) :]
    for expression, masked in _WHOLE_TOKENS:
        if expression.fullmatch(word):
            return token if masked is None else f"{before}{masked}{after}"
    name, colon, value = word.partition(":")
    if colon and _NAME.fullmatch(name):
        return f"{before}{name}:{_mask_token(value) if any(c in '0123456789' for c in value) else value}{after}"
    return _DIGITS.sub("<n>", token)


def _mask_text(text: str) -> str:
    return _TOKEN.sub(lambda match: _mask_token(match.group()), text)


_mask_word = lru_cache(maxsize=8192)(_mask_text)


def mask(message: str) -> str:
    """The message with its variable parts masked, on one line."""
    text = message[:LOOK_AT]
    if '"' in text or "'" in text:
        return " ".join(_mask_text(text).split())[:512]
    # Only quoted text reaches over spaces. Without it words can be masked alone, and most have been seen before.
    return " ".join(map(_mask_word, text.split()))[:512]


def unhandled_pattern(source: str | None, message: str) -> str:
    """What an event that no rule matched is counted under: its source and its masked message."""
    return f"{source or 'unknown'}:{mask(message)}"


def signature(hostname: str, rule_id: int | None, trap_oid: str | None, message: str) -> str:
    """A digest that is the same for repeats of one fault: same host, same rule, same trap or same masked message."""
    about = f"oid:{trap_oid.strip('.')}" if trap_oid else f"msg:{mask(message)}"
    return hashlib.sha256(f"{hostname.lower()}|{rule_id}|{about}".encode()).hexdigest()[:32]
