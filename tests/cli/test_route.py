"""`gwsim route`: the answer, the way, JSON, exit codes, bad input."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from cli_calls import Command

CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: app}
spec: {selector: {app: shop}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: istio-system}
type: kubernetes.io/tls
data: {tls.crt: eA==, tls.key: eA==}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: app}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: MUTUAL, credentialName: cert}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: app}
spec:
  hosts: [shop.example]
  gateways: [public]
  http:
  - name: claims
    match: [{uri: {prefix: /}, headers: {"@request.auth.claims.group": {exact: a}}}]
    redirect: {uri: /members}
  - name: cart
    match: [{uri: {prefix: /cart}}]
    headers: {request: {set: {x-team: cart}}, response: {add: {x-served: "yes"}}}
    route: [{destination: {host: shop}, weight: 90}, {destination: {host: shop, subset: v9}, weight: 10}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec: {jwtRules: [{issuer: someone}]}
"""


@pytest.fixture
def ask(gwsim: Command, tmp_path: Path) -> Command:
    """`gwsim route` over the configuration above."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    return lambda *words: gwsim("route", "-c", "config.yaml", *words)


def test_the_answer_comes_first_and_the_way_with_places(ask: Command) -> None:
    ended = ask("http://shop.example/cart?a=1", "--gateway", "app/public")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[2].startswith("ANSWER     forwarded (200)")
    assert "90 %  shop.app.svc.cluster.local:80" in ended.out
    assert "10 %  shop.app.svc.cluster.local:80 subset v9" in ended.out
    assert "80 of Service istio-system/istio-ingressgateway → declared 80 → listening 8080" in ended.out
    route = next(line for line in lines if line.startswith("route"))
    assert "cart" in route
    assert "config.yaml:" in route
    assert "x-team: cart" in ended.out
    assert "x-served: yes" in ended.out
    assert "not: claim group exact 'a'" in ended.out
    assert "Gateway app/public selects" in ended.out


def test_what_goes_nowhere_ends_with_one(ask: Command) -> None:
    ended = ask("http://other.example/")
    assert ended.code == 1
    assert "404 NR" in ended.out
    assert "hosts here: shop.example" in ended.out
    assert ask("http://shop.example:81/").code == 1
    assert ask("https://shop.example/cart", "--no-client-cert").code == 1
    assert ask("https://shop.example/cart", "--client-cert").code == 0


def test_claims_and_headers(ask: Command) -> None:
    ended = ask("http://x.example/", "-H", "Host: shop.example", "--jwt-claims", '{"group": "a"}', "-o", "json")
    told = json.loads(ended.out)
    assert told["schema"] == "gwsim/route/v1"
    assert told["answer"]["outcome"] == "redirect"
    assert told["answer"]["redirect"]["location"] == "http://shop.example/members"
    assert told["port"] == {"dialled": 80, "listening": 8080, "declared": [80], "service": "istio-system/istio-ingressgateway"}
    taken = [step["name"] for step in told["steps"] if step["kind"] == "route" and step["taken"]]
    assert taken == ["claims"]


def test_workload_and_stdin(gwsim: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(CONFIG))
    ended = gwsim("route", "--config", "-", "--workload", "istio-system/istio=ingressgateway", "--host", "shop.example", "--path", "/cart", "--port", "80")
    assert ended.code == 0, ended.err


def test_several_clusters(gwsim: Command, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    words = ("route", "-c", "east=config.yaml", "-c", "west=config.yaml", "http://shop.example/cart")
    ended = gwsim(*words, "--gateway", "app/public")
    assert ended.code == 2
    assert "several gateways: east/istio-system/istio-ingressgateway, west/" in ended.err
    assert gwsim(*words, "--gateway", "west/app/public").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--gateway", "app/pubic", "http://x/"), "did you mean app/public?"),
        (("--gateway", "public", "http://x/"), "write NAMESPACE/NAME"),
        (("--workload", "app/istio=nobody", "--gateway", "app/public", "http://x/"), "exclude each other"),
        (("tcp://x",), "--port"),
        (("ftp://x/",), "is no scheme"),
        (("http://x/", "-H", "novalue"), "write 'Name: value'"),
        (("http://x/", "--jwt-claims", "{"), "not JSON"),
        (("http://x/", "--istio-version", "0.9"), "0.9"),
        (("http://x:99999/",), "cannot be read"),
        (("http://x/", "-c", "nowhere"), "no file or folder nowhere"),
        (("http://x/", "--backend-delay", "soon"), "--backend-delay"),
    ],
)
def test_bad_input(ask: Command, words: tuple[str, ...], told: str) -> None:
    ended = ask(*words)
    assert ended.code == 2
    assert told in ended.err
    assert "fault inside" not in ended.err


def test_a_configuration_that_would_be_refused(gwsim: Command, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.replace("weight: 90", "weight: -1"))
    ended = gwsim("route", "-c", "config.yaml", "http://shop.example/")
    assert ended.code == 2
    assert "config.yaml:" in ended.err


EGRESS = """
apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec: {selector: {istio: egressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out, namespace: app}
spec: {hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: https, protocol: HTTPS}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: out, namespace: app}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [api.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: out, namespace: app}
spec:
  hosts: [api.example.com]
  gateways: [mesh, out]
  http:
  - match: [{gateways: [mesh], port: 80}]
    headers: {request: {set: {x-hop: "1"}}}
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]
  - match: [{gateways: [out], port: 80, headers: {x-hop: {exact: "1"}}}]
    rewrite: {uri: /v1}
    route: [{destination: {host: api.example.com, port: {number: 443}}}]
"""


def test_from_a_client_through_every_gateway(gwsim: Command, tmp_path: Path) -> None:
    (tmp_path / "egress.yaml").write_text(EGRESS)
    ended = gwsim("route", "-c", "egress.yaml", "--from", "app/worker", "http://api.example.com/x", "-o", "json")
    assert ended.code == 0, ended.out + ended.err
    told = json.loads(ended.out)
    assert told["proxy"]["kind"] == "sidecar"
    assert told["answer"]["backends"][0]["host"] == "istio-egressgateway.istio-system.svc.cluster.local"
    hop = told["hops"][0]
    assert (hop["proxy"]["name"], hop["port"]["dialled"], hop["port"]["listening"]) == ("istio-egressgateway", 80, 8080)
    assert hop["answer"]["backends"][0] == {"host": "api.example.com", "port": 443, "weight": 100}
    assert hop["answer"]["rewrite"] == {"path": "/v1x"}
    text = gwsim("route", "-c", "egress.yaml", "--from", "app/worker", "http://api.example.com/x").out
    assert text.count("ANSWER") == 2


def test_a_destination_that_the_mesh_does_not_know(gwsim: Command, tmp_path: Path) -> None:
    (tmp_path / "egress.yaml").write_text(EGRESS)
    ended = gwsim("route", "-c", "egress.yaml", "--from", "app/worker", "http://elsewhere.example/")
    assert ended.code == 0
    assert "passed through" in ended.out


POLICY = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: who, namespace: istio-system}
spec:
  rules:
  - from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]
"""


def test_access_rules_are_part_of_the_way(gwsim: Command, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG + POLICY)
    words = ("route", "-c", "config.yaml", "http://shop.example/cart", "--remote-ip")
    passed = gwsim(*words, "10.1.1.1")
    assert passed.code == 0
    assert "the ALLOW rule matches" in passed.out
    refused = gwsim(*words, "1.1.1.1")
    assert refused.code == 1
    assert "denied (403)" in refused.out
    assert "refuses: no ALLOW rule matches" in refused.out
    line = next(text for text in refused.out.splitlines() if "ns[istio-system]" in text)
    assert "config.yaml:" in line
