"""Policies and EnvoyFilters of public projects on a gateway: what they do to requests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from policies import ROUTES
from topology_build import GATEWAY, SERVICES

from gwsim.diagnostics import Collector
from gwsim.resources import read
from gwsim.topology import Decision, Proxy, Request, choose
from gwsim.topology import filters as f
from gwsim.topology.from_istio import from_istio

CORPUS = Path(os.environ.get("GWSIM_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus") / "istio"
LABELS = {"app": "istio-ingressgateway", "istio": "ingressgateway"}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus of Istio configuration at {CORPUS} (set GWSIM_CORPUS)")


def gateway(tmp_path: Path, *files: str, mesh: dict[str, object] | None = None) -> Proxy:
    """The ingress gateway of istio-system with these files beside a route to everything."""
    base = tmp_path / "base.yaml"
    base.write_text("\n---\n".join((SERVICES, GATEWAY, ROUTES)))
    collector = Collector()
    resources = read([base, *(CORPUS / name for name in files)], collector=collector)
    collector.raise_if_errors()
    topology = from_istio(resources, gateways=[("istio-system", LABELS)], mesh_config=mesh)
    return next(one for one in topology.proxies if one.namespace == "istio-system")


def ask(proxy: Proxy, path: str = "/", **more: object) -> Decision:
    return choose(proxy, 80, Request(host="shop.example", path=path, **more))  # type: ignore[arg-type]


def test_addresses_behind_trusted_proxies(tmp_path: Path) -> None:
    mesh = {"defaultConfig": {"gatewayTopology": {"numTrustedProxies": 1}}}
    proxy = gateway(tmp_path, "security/istio-docs-ingress-authz-remote-ip.yaml", mesh=mesh)
    told = {address: ask(proxy, remote_ip="10.0.0.1", headers={"x-forwarded-for": address}).status for address in ("1.2.3.4", "5.6.7.9", "5.6.8.1")}
    assert told == {"1.2.3.4": 200, "5.6.7.9": 200, "5.6.8.1": 403}


def test_tokens_of_some_paths(tmp_path: Path) -> None:
    proxy = gateway(tmp_path, "security/istio-docs-end-user-authentication.yaml")
    good = {"iss": "testing@secure.istio.io", "sub": "testing@secure.istio.io"}
    assert ask(proxy).status == 403
    assert ask(proxy, claims=good).status == 200
    assert ask(proxy, token_rejected=True).status == 401


def test_a_login_proxy_for_requests_without_a_token(tmp_path: Path) -> None:
    provider = {"name": "oauth2-proxy", "envoyExtAuthzHttp": {"service": "cart.app.svc.cluster.local", "port": 80}}
    proxy = gateway(tmp_path, "security/kubeflow-oauth2-proxy-ext-authz.yaml", mesh={"extensionProviders": [provider]})

    def asked(path: str, **headers: str) -> bool:
        return any(isinstance(one.config, f.ExtAuthz) for one in ask(proxy, path, headers=headers).filters)

    assert asked("/home") and not asked("/home", authorization="Bearer a.b.c")
    assert not asked("/dex/auth") and not asked("/oauth2/callback")
    unknown = gateway(tmp_path, "security/kubeflow-oauth2-proxy-ext-authz.yaml")
    assert (ask(unknown, "/home").status, ask(unknown, "/dex/auth").status) == (403, 200)


def test_a_global_rate_limit(tmp_path: Path) -> None:
    proxy = gateway(tmp_path, "rate-limit/istio-docs-global-filter.yaml", "rate-limit/istio-docs-global-actions.yaml")
    limit = ask(proxy, "/productpage").filters[-1]
    assert isinstance(limit.config, f.RateLimit) and limit.config.domain == "ratelimit" and limit.config.failure_mode_deny
    assert limit.descriptors == ((("PATH", "/productpage"),),)


def test_a_rate_limit_with_a_cluster_of_its_own(tmp_path: Path) -> None:
    proxy = gateway(tmp_path, "rate-limit/istio-sample-productpage-envoy-ratelimit.yaml")
    assert proxy.clusters["rate_limit_cluster"].endpoints[0].port == 8081
    assert any(isinstance(one.config, f.RateLimit) for one in ask(proxy).filters)


def test_a_limit_of_sidecars_leaves_the_gateway_alone(tmp_path: Path) -> None:
    proxy = gateway(tmp_path, "rate-limit/istio-docs-local.yaml")
    assert not any(isinstance(one.config, f.LocalRateLimit) for one in ask(proxy).filters)
