"""Rate limits, authorization services and access rules from their objects to the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gwsim.engine import reference
from gwsim.scenario import Resolved
from gwsim.scenario.model import Abort, Bucket, Call, TokenBucket

SHORT = ("clients.web.arrivals.poisson=500rps", "run.duration=2s", "clients.web.timeout=5s")
Resolve = Callable[..., Resolved]
HTTP = "type.googleapis.com/envoy.extensions.filters.http"


def envoy(value: str, more: str = "") -> str:
    """An EnvoyFilter that puts a filter before the router of the gateway."""
    return f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: limits, namespace: istio-system}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {{context: GATEWAY, listener: {{filterChain: {{filter: {{name: envoy.filters.network.http_connection_manager, subFilter: {{name: envoy.filters.http.router}}}}}}}}}}
    patch: {{operation: INSERT_BEFORE, value: {value}}}
{more}
"""


ALWAYS = "filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}"
LIMIT = f"{{name: envoy.filters.http.local_ratelimit, typed_config: {{'@type': {HTTP}.local_ratelimit.v3.LocalRateLimit, stat_prefix: x, {ALWAYS}, token_bucket: {{max_tokens: 50, tokens_per_fill: 50, fill_interval: 1s}}}}}}"
CHECK = "{{name: envoy.filters.http.ext_authz, typed_config: {{'@type': {http}.ext_authz.v3.ExtAuthz, failure_mode_allow: {allow}, grpc_service: {{envoy_grpc: {{cluster_name: '{cluster}'}}, timeout: 0.5s}}}}}}"
CART = "outbound|8080||cart.shop.svc.cluster.local"


def put(folder: Path, text: str) -> None:
    (folder / "istio" / "policies.yaml").write_text(text, encoding="utf-8")


def statuses(got: Resolved, status: int) -> float:
    """Share of the requests that end with a status."""
    raw = reference.run(got.model, 0)
    return float(raw.status[:, status].sum() / raw.finished.sum())


def test_a_local_rate_limit_holds_per_pod(folder: Path, resolve: Resolve) -> None:
    put(folder, envoy(LIMIT))
    got = resolve(*SHORT)
    assert got.model.buckets == (TokenBucket(max_tokens=50, tokens_per_fill=50, fill_interval_s=1.0),)
    programs = [one.outcome.program for one in got.model.clients[0].mix]
    assert programs == [(Bucket(buckets=(0,)),)] * 2, "both entries draw from the one bucket of the filter chain"
    pods = got.model.fleets[0].pods if hasattr(got.model.fleets[0], "pods") else ()
    fewest = 1.0 - 3 * 50 * max(1, len(pods)) / 1000
    assert statuses(got, 429) > max(0.3, fewest - 0.1)


def test_route_buckets_are_their_own(folder: Path, resolve: Resolve) -> None:
    bare = f"{{name: envoy.filters.http.local_ratelimit, typed_config: {{'@type': {HTTP}.local_ratelimit.v3.LocalRateLimit, stat_prefix: x}}}}"
    more = f"""  - applyTo: HTTP_ROUTE
    match: {{context: GATEWAY, routeConfiguration: {{vhost: {{route: {{name: cart}}}}}}}}
    patch: {{operation: MERGE, value: {{typed_per_filter_config: {{envoy.filters.http.local_ratelimit: {{'@type': {HTTP}.local_ratelimit.v3.LocalRateLimit, {ALWAYS}, token_bucket: {{max_tokens: 7}}}}}}}}}}
"""
    put(folder, envoy(bare, more))
    programs = [one.outcome.program for one in resolve(*SHORT).model.clients[0].mix]
    assert programs == [(), (Bucket(buckets=(0,)),)]


def test_an_authorization_service_is_called(folder: Path, resolve: Resolve) -> None:
    put(folder, envoy(CHECK.format(http=HTTP, allow="true", cluster=CART)))
    got = resolve(*SHORT)
    (call,) = got.model.clients[0].mix[0].outcome.program
    assert isinstance(call, Call) and call.fail_open and call.timeout_s == 0.5
    assert got.model.clusters[call.cluster].cluster.host == "cart.shop.svc.cluster.local"
    put(folder, "")
    assert reference.run(got.model, 0).station_jobs.sum() > reference.run(resolve(*SHORT).model, 0).station_jobs.sum() * 1.3


@pytest.mark.parametrize(("allow", "program"), [("true", ()), ("false", (Abort(percent=100.0, status=403),))])
def test_nobody_to_ask(folder: Path, resolve: Resolve, allow: str, program: tuple[object, ...]) -> None:
    put(folder, envoy(CHECK.format(http=HTTP, allow=allow, cluster="nowhere")))
    assert resolve(*SHORT).model.clients[0].mix[0].outcome.program == program


def test_refused_requests_are_local_replies(folder: Path, resolve: Resolve) -> None:
    put(folder, """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: istio-system}
spec: {action: DENY, rules: [{to: [{operation: {paths: ["/cart*"]}}]}]}
""")
    got = resolve(*SHORT)
    assert [one.outcome.local_status for one in got.model.clients[0].mix] == [0, 403]
    assert statuses(got, 403) == pytest.approx(0.7, abs=0.1)


def test_filters_cost_cpu(folder: Path, resolve: Resolve) -> None:
    plain = resolve(*SHORT).model.clients[0].costs
    put(folder, """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: istio-system}
spec: {rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: istio-system}
spec: {jwtRules: [{issuer: me}]}
""")
    assert resolve(*SHORT).model.clients[0].costs.read_stream_s > plain.read_stream_s + 40e-6
