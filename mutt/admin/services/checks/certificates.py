"""When a certificate expires, read from its file with the standard library alone.

Python's ssl module tells the dates of a peer's certificate and of nothing else, and a library for one date would be
a large dependency. An X.509 certificate is a list in a list: the dates are the fourth or fifth entry.
"""

import base64
import binascii
import re
from datetime import UTC, datetime
from pathlib import Path

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
SEQUENCE, UTC_TIME, GENERALIZED_TIME, VERSION = 0x30, 0x17, 0x18, 0xA0


class CertificateError(ValueError):
    """The file holds no certificate that can be read."""


def expiry(file: Path) -> datetime:
    """When the first certificate of a PEM file expires. Raises CertificateError and OSError."""
    found = _PEM.search(file.read_bytes())
    if not found:
        raise CertificateError("it holds no certificate in PEM format")
    try:
        return _not_after(base64.b64decode(found[1]))
    except (binascii.Error, IndexError, ValueError) as error:
        raise CertificateError("its certificate is damaged") from error


def _not_after(der: bytes) -> datetime:
    """The end of the validity: certificate, tbsCertificate, [version], serial, algorithm, issuer, validity."""
    certificate = _content(der, SEQUENCE)
    entries = _entries(_content(certificate, SEQUENCE))
    validity = entries[4 if entries[0][0] == VERSION else 3]
    if validity[0] != SEQUENCE:
        raise ValueError("no validity where it belongs")
    tag, text = _entries(validity[1])[1]
    if tag not in (UTC_TIME, GENERALIZED_TIME):
        raise ValueError("no time where it belongs")
    digits = text.decode("ascii").removesuffix("Z")
    if tag == UTC_TIME:
        digits = ("20" if int(digits[:2]) < 50 else "19") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _content(der: bytes, tag: int) -> bytes:
    found, content, _ = _element(der)
    if found != tag:
        raise ValueError("not what it should be")
    return content


def _entries(der: bytes) -> list[tuple[int, bytes]]:
    entries = []
    while der:
        tag, content, der = _element(der)
        entries.append((tag, content))
    return entries


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """(tag, content, what follows)."""
    tag, length, start = der[0], der[1], 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[2 : 2 + size], "big"), 2 + size
    if start + length > len(der):
        raise ValueError("cut short")
    return tag, der[start : start + length], der[start + length :]
