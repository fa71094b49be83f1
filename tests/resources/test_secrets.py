"""Secrets: the kind of key is found, and nothing of the key is kept or shown."""

import base64
import pickle

import pytest

from gwsim.diagnostics import Collector, render_all
from gwsim.resources import read_text
from gwsim.resources.key_kind import key_kind_of

EC_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUDyWfQ1k5jjScV3t9ItyU05MtSsQwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMc2hvcC5leGFtcGxlMB4XDTI2MTEyNDAxMDQ0OFoXDTM2MTEy
MTAxMDQ0OFowFzEVMBMGA1UEAwwMc2hvcC5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE+ga0oeDF5utCEe/fFgDYQ3Heb6cqpfMFkL43YiE8dHaZNeLd
dVw+pIRfym9HB8wMczgmaOS8aWG+UgnkR5TlAaNTMFEwHQYDVR0OBBYEFBZB6XyS
A6irDbE/C9/k3Dmj37wvMB8GA1UdIwQYMBaAFBZB6XySA6irDbE/C9/k3Dmj37wv
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgRq9u4B/VvJTys8G2
AB9pxSsArHz3LsPjhYbeY+aJfJACIQDOMMWQfCpR85WQnKJAyhy7/z9qgknOdWEL
YNO3MDoBVg==
-----END CERTIFICATE-----
"""


def der(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + body


def integer(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def rsa_key(bits):
    """A PKCS #1 key as far as its kind goes; its numbers are no key."""
    return der(0x30, integer(0), integer((1 << bits) - 1), integer(65537))


RSA_OID, EC_OID = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a8648ce3d0201")
P256, P384 = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2b81040022")


def pkcs8(algorithm, parameter, key):
    return der(0x30, integer(0), der(0x30, der(6, algorithm), parameter), der(4, key))


def pem(name, content):
    return f"-----BEGIN {name}-----\n{base64.encodebytes(content).decode()}-----END {name}-----\n".encode()


EC_KEY = der(0x30, integer(1), der(4, b"\1" * 48), der(0xA0, der(6, P384)))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (EC_CERTIFICATE.encode(), "ecdsa-p256"),
        (rsa_key(2048), "rsa-2048"),
        (pem("RSA PRIVATE " + "KEY", rsa_key(3072)), "rsa-3072"),
        (pem("PRIVATE " + "KEY", pkcs8(RSA_OID, der(5), rsa_key(4096))), "rsa-4096"),
        (pem("PRIVATE " + "KEY", pkcs8(EC_OID, der(6, P256), b"")), "ecdsa-p256"),
        (pem("EC PARAMETERS", der(6, P384)) + pem("EC PRIVATE " + "KEY", EC_KEY), "ecdsa-p384"),
        (rsa_key(1024), "unknown"),
        (b"", "unknown"),
        (b"0", "unknown"),
        (b"<your certificate here>", "unknown"),
        (rsa_key(2048)[:100], "unknown"),
        (b"-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n", "unknown"),
    ],
)
def test_kinds_of_keys(content, kind):
    assert key_kind_of(content) == kind


def secret(data, block="data"):
    entries = "".join(f"  {name}: {value}\n" for name, value in data.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: shop-cert, namespace: istio-system}}\ntype: kubernetes.io/tls\n{block}:\n{entries}"


def test_a_tls_secret():
    text = secret({"tls.crt": base64.b64encode(EC_CERTIFICATE.encode()).decode(), "tls.key": "PGtleT4="})
    (found,) = read_text(text).secrets
    assert (found.type, found.key_kind, found.keys) == ("kubernetes.io/tls", "ecdsa-p256", ("tls.crt", "tls.key"))
    assert found.span.line == 1


@pytest.mark.parametrize("value", ["<base64 certificate>", '""', "", "Zm9v", "${CERT}"])
def test_a_placeholder_is_of_unknown_kind(value):
    (found,) = read_text(secret({"tls.crt": value})).secrets
    assert found.key_kind == "unknown"


def test_string_data():
    lines = EC_CERTIFICATE.replace("\n", "\n    ")
    (found,) = read_text(secret({"tls.crt": f"|\n    {lines}"}, "stringData")).secrets
    assert found.key_kind == "ecdsa-p256"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text,
        lambda text: text + "  tls.key: again\n",
        lambda text: text + "nonsense: SENSITIVE1234\n",
        lambda text: text + "  bad: [SENSITIVE1234\n",
        lambda text: text.replace("data:\n", "data: SENSITIVE1234\nx:\n"),
        lambda text: text.replace("type: kubernetes.io/tls", "type: {a: SENSITIVE1234}"),
        lambda text: text.replace("  tls.key", "  ? [SENSITIVE1234]\n  : 3\n  tls.key"),
        lambda text: "apiVersion: v1\nkind: List\nitems:\n-" + "".join(f"  {line}\n" for line in text.splitlines())[1:],
    ],
)
def test_nothing_of_a_secret_is_kept_or_shown(damage):
    collector = Collector()
    objects = read_text(damage(secret({"tls.key": "SENSITIVE1234"})), collector=collector)
    assert "SENSITIVE" not in render_all(collector)
    assert b"SENSITIVE" not in pickle.dumps(objects)
    for found in objects.secrets:
        assert found.span_of('data["tls.key"]') == found.span
