"""The time a certificate is valid, from PEM text: as much of X.509 (RFC 5280) as that takes."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

from gwsim.resources.key_kind import elements

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")
_UTC_TIME, _GENERALIZED, _CONTEXT_0 = 0x17, 0x18, 0xA0


def validity(pem: str) -> tuple[datetime, datetime] | None:
    """Begin and end of the first certificate of a PEM text, or None where there is none that can be read."""
    found = _PEM.search(pem)
    if not found:
        return None
    try:
        der = base64.b64decode("".join(found[1].split()), validate=True)
        fields = elements(elements(elements(der)[0].body)[0].body)
        fields = fields[1:] if fields[0].tag == _CONTEXT_0 else fields
        # serialNumber, signature, issuer, validity
        begin, end = elements(fields[3].body)[:2]
        return _time(begin.tag, begin.body), _time(end.tag, end.body)
    except (binascii.Error, IndexError, ValueError):
        return None


def _time(tag: int, body: bytes) -> datetime:
    text = body.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280 4.1.2.5.1: years from 50 on are of the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


__all__ = ["validity"]
