"""Certificates for a real Envoy on this machine: an authority of its own, and keys of the kind each gateway has."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from gwsim.errors import UsageError

RSA_BITS = {"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}
CURVES = {"p256": "SECP256R1", "p384": "SECP384R1"}
KINDS = (*RSA_BITS, *CURVES)
VALID = timedelta(days=2)


def can_make() -> bool:
    """Whether the library that makes certificates is here."""
    return importlib.util.find_spec("cryptography") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


@dataclass(slots=True)
class Authority:
    """Signs certificates that are valid for two days; what it made is kept in `folder` and in memory.

    Raises UsageError without the cryptography library.
    """

    folder: Path
    _keys: dict[str, Any] = field(default_factory=dict)
    _made: dict[tuple[Any, ...], KeyPair] = field(default_factory=dict)
    _name: Any = None
    _key: Any = None

    def __post_init__(self) -> None:
        if not can_make():
            raise UsageError("certificates need the cryptography library: pip install 'istio-gwsim[envoy]'")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = _new_key("p256")
        self._name = _subject("gwsim on this machine")

    @property
    def pair(self) -> KeyPair:
        """The authority's own certificate."""
        made = self._made.get(("authority",))
        if made is None:
            made = self._made["authority",] = self._written("authority", self._signed(self._name, self._key, (), "", True), self._key)
        return made

    def issue(self, name: str, *, kind: str = "rsa2048", hosts: tuple[str, ...] = ("localhost",), uri: str = "") -> KeyPair:
        """A certificate for host names (and a SPIFFE identity) with a key of that kind; a kind not known is RSA-2048."""
        kind = kind if kind in KINDS else "rsa2048"
        wanted = (kind, hosts, uri)
        if wanted not in self._made:
            # Keys take long to make, and nobody is to be kept out: one for each kind will do.
            key = self._keys.setdefault(kind, None) or _new_key(kind)
            self._keys[kind] = key
            label = f"{name}-{len(self._made)}"
            self._made[wanted] = self._written(label, self._signed(_subject(hosts[0] if hosts else name), key, hosts, uri, False), key)
        return self._made[wanted]

    def _signed(self, subject: Any, key: Any, hosts: tuple[str, ...], uri: str, authority: bool) -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + VALID)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        names: list[Any] = [_general_name(host) for host in hosts]
        if uri:
            names.append(x509.UniformResourceIdentifier(uri))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _written(self, name: str, certificate: Any, key: Any) -> KeyPair:
        from cryptography.hazmat.primitives import serialization

        pair = KeyPair(certificate=self.folder / f"{name}.crt", key=self.folder / f"{name}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair


def self_signed(folder: Path, name: str, *, kind: str = "rsa2048", hosts: tuple[str, ...] = ("localhost",)) -> KeyPair:
    """A certificate of an authority made for it alone. Raises UsageError without the cryptography library."""
    return Authority(folder).issue(name, kind=kind, hosts=hosts)


def _subject(name: str) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64] or "gwsim")])


def _general_name(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _new_key(kind: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind in RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[kind])
    return ec.generate_private_key(getattr(ec, CURVES[kind])())


__all__ = ["KINDS", "Authority", "KeyPair", "can_make", "self_signed"]
