"""`gwsim route audit`: ways out of the mesh by workload, exit codes, JSON."""

from __future__ import annotations

import json
from pathlib import Path

from cli_calls import Command

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
FILES = ("egress-gateway", "orders", "billing", "egress-partner", "partner-tls")
STRICT = """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  egress: [{hosts: ["./*", "istio-system/*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
"""
BARE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: cron, namespace: shop}
spec:
  selector: {matchLabels: {app: cron}}
  template:
    metadata: {labels: {app: cron, sidecar.istio.io/inject: "false"}}
    spec: {containers: [{name: cron, image: "cron:1"}]}
"""
MAIL = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mail, namespace: shop}
spec: {hosts: ["*.mail.example"], ports: [{number: 25, name: tcp, protocol: TCP}], resolution: NONE}
"""


def ways(gwsim: Command, *more: Path) -> tuple[int, dict[tuple[str, str, int], dict[str, object]]]:
    files = [SCENARIOS / "common" / f"{name}.yaml" for name in FILES]
    ended = gwsim("route", "audit", *(word for one in (*files, *more) for word in ("-c", str(one))), "-o", "json")
    found = json.loads(ended.out)["ways"]
    return ended.code, {(one["workload"], one["host"], one["port"]): one for one in found}


def test_ways_through_and_past_the_gateway(gwsim: Command, tmp_path: Path) -> None:
    code, found = ways(gwsim)
    assert code == 1
    for workload in ("shop/orders", "shop/billing"):
        led = found[workload, "api.partner.com", 80]
        assert (led["exit"], led["gateways"]) == ("gateway", ["istio-system/istio-egressgateway"])
        # The VirtualService leads port 80 to the gateway; whoever dials 443 leaves from the sidecar.
        assert found[workload, "api.partner.com", 443]["exit"] == "past"
        assert found[workload, "undeclared.invalid", 80]["exit"] == found[workload, "undeclared.invalid", 443]["exit"] == "past"


def test_registry_only_refuses_what_nobody_declared(gwsim: Command, tmp_path: Path) -> None:
    (tmp_path / "strict.yaml").write_text(STRICT, encoding="utf-8")
    _, found = ways(gwsim, tmp_path / "strict.yaml")
    plain, opaque = found["shop/orders", "undeclared.invalid", 80], found["shop/orders", "undeclared.invalid", 443]
    assert (plain["exit"], plain["status"]) == ("refused", 502)
    assert (opaque["exit"], opaque["status"]) == ("refused", 0)
    assert found["shop/orders", "api.partner.com", 80]["exit"] == "gateway"


def test_hosts_without_a_gateway_and_pods_without_a_sidecar(gwsim: Command, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(f"{BARE}---\n{MAIL}", encoding="utf-8")
    code, found = ways(gwsim, tmp_path / "more.yaml")
    assert code == 1
    assert found["shop/orders", "*.mail.example", 25]["exit"] == "direct"
    assert found["shop/cron", "*", 0]["exit"] == "unwatched"
    text = gwsim("route", "audit", "-c", str(tmp_path / "more.yaml")).out
    assert "unwatched: no sidecar" in text and "1 without a sidecar" in text


def test_nothing_to_pass_by_is_fine(gwsim: Command, tmp_path: Path) -> None:
    (tmp_path / "only.yaml").write_text(BARE.replace(', sidecar.istio.io/inject: "false"', "") + "---\n" + MAIL, encoding="utf-8")
    ended = gwsim("route", "audit", "-c", str(tmp_path / "only.yaml"))
    assert (ended.code, "0 workloads can pass" in ended.out) == (0, True)
    assert gwsim("route", "audit", "-c", str(tmp_path / "nothing")).code == 2
