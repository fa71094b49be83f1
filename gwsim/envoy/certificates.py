"""Self-signed certificates for a real Envoy on this machine, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gwsim.errors import UsageError

_NEW_KEY = {
    "rsa2048": ("rsa:2048",),
    "rsa3072": ("rsa:3072",),
    "rsa4096": ("rsa:4096",),
    "p256": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    "p384": ("ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


def self_signed(folder: Path, name: str, *, kind: str = "rsa2048", hosts: tuple[str, ...] = ("localhost",)) -> KeyPair:
    """A certificate with a key of that kind, valid for two days. Raises UsageError without an openssl command."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise UsageError("the openssl command is needed to make certificates, and was not found")
    folder.mkdir(parents=True, exist_ok=True)
    pair = KeyPair(certificate=folder / f"{name}.crt", key=folder / f"{name}.key")
    names = ",".join(f"DNS:{host}" for host in hosts)
    command = [
        openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={hosts[0]}", "-addext", f"subjectAltName={names}",
        "-newkey", *_NEW_KEY.get(kind, _NEW_KEY["rsa2048"]), "-keyout", str(pair.key), "-out", str(pair.certificate),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise UsageError(f"openssl could not make a certificate: {done.stderr.strip().splitlines()[-1:]}")
    return pair


__all__ = ["KeyPair", "self_signed"]
