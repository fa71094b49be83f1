"""The kind of key in a certificate or private key: what a handshake costs depends on it.

A small walk through DER (X.690), enough for X.509 certificates (RFC 5280), PKCS #8, PKCS #1 and SEC 1
keys. Nothing of the key is returned but its kind.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from gwsim.resources.models.kubernetes import KeyKind

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----")
_RSA = bytes.fromhex("2a864886f70d010101")
_EC = bytes.fromhex("2a8648ce3d0201")
_CURVES: dict[bytes, KeyKind] = {
    bytes.fromhex("2a8648ce3d030107"): "ecdsa-p256",
    bytes.fromhex("2b81040022"): "ecdsa-p384",
}
_RSA_BITS: dict[int, KeyKind] = {2048: "rsa-2048", 3072: "rsa-3072", 4096: "rsa-4096"}
_INTEGER, _BIT_STRING, _OCTET_STRING, _OID, _SEQUENCE, _CONTEXT_0 = 0x02, 0x03, 0x04, 0x06, 0x30, 0xA0


class _Element(NamedTuple):
    tag: int
    body: bytes


def key_kind_of_base64(text: str) -> KeyKind:
    """The kind of key in a value of a Secret's `data`; "unknown" for anything that is none."""
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return "unknown"
    return key_kind_of(content)


def key_kind_of(content: bytes) -> KeyKind:
    """The kind of the first key in PEM or DER content; "unknown" for other content or kinds of key."""
    text = content.decode("latin-1")
    blocks = [match[2] for match in _PEM.finditer(text)]
    if not blocks:
        return _kind_of_der(content)
    for body in blocks:
        try:
            der = base64.b64decode("".join(body.split()), validate=True)
        except (binascii.Error, ValueError):
            continue
        kind = _kind_of_der(der)
        if kind != "unknown":
            return kind
    return "unknown"


def _kind_of_der(der: bytes) -> KeyKind:
    try:
        root = elements(der)[0]
        return _kind(elements(root.body)) if root.tag == _SEQUENCE else "unknown"
    except (IndexError, ValueError):
        return "unknown"


def _kind(parts: list[_Element]) -> KeyKind:
    """The kind of a certificate or key, told apart by the tags of its parts."""
    tags = [part.tag for part in parts]
    if tags[:1] == [_SEQUENCE]:
        return _certificate(parts)
    if tags[:3] == [_INTEGER, _SEQUENCE, _OCTET_STRING]:
        return _by_algorithm(elements(parts[1].body), parts[2].body, modulus_at=1)
    if tags[:2] == [_INTEGER, _INTEGER]:
        return _rsa(parts[1])
    if tags[:3] == [_INTEGER, _OCTET_STRING, _CONTEXT_0]:
        return _CURVES.get(elements(parts[2].body)[0].body, "unknown")
    return "unknown"


def _certificate(parts: list[_Element]) -> KeyKind:
    fields = elements(parts[0].body)
    if fields[0].tag == _CONTEXT_0:
        fields = fields[1:]
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
    algorithm, key = elements(fields[5].body)[:2]
    if key.tag != _BIT_STRING:
        return "unknown"
    return _by_algorithm(elements(algorithm.body), key.body[1:], modulus_at=0)


def _by_algorithm(algorithm: list[_Element], key: bytes, modulus_at: int) -> KeyKind:
    if algorithm[0].body == _RSA:
        return _rsa(elements(elements(key)[0].body)[modulus_at])
    if algorithm[0].body == _EC and algorithm[1].tag == _OID:
        return _CURVES.get(algorithm[1].body, "unknown")
    return "unknown"


def _rsa(modulus: _Element) -> KeyKind:
    return _RSA_BITS.get(int.from_bytes(modulus.body, "big").bit_length(), "unknown")


def elements(der: bytes) -> list[_Element]:
    """The elements of a DER body, in order.

    Raises ValueError when a length points beyond the end.
    """
    found: list[_Element] = []
    at = 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("truncated")
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size], "big")
            at += size
        if at + length > len(der):
            raise ValueError("truncated")
        found.append(_Element(tag, der[at : at + length]))
        at += length
    return found
