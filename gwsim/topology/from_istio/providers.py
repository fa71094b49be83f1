"""Extension providers of the mesh configuration that policies name.

Source: istio/istio pilot/pkg/security/authz/builder/extauthz.go; lookup of services: pilot/pkg/extensionproviders.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gwsim.resources.models import AuthorizationPolicy, ExtAuthzGrpc, ExtAuthzHttp
from gwsim.topology import filters as f
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.registry import Host
from gwsim.topology.upstream import cluster_name

DEFAULT_TIMEOUT_S = 600.0
"""What istiod writes for a provider without a timeout."""
DEFAULT_STATUS = 403


@dataclass(slots=True)
class Providers:
    """The providers as one workload sees them."""

    ctx: Context
    namespace: str
    _reported: set[str] = field(default_factory=set)

    @property
    def trust_domains(self) -> tuple[str, tuple[str, ...]]:
        """The mesh's trust domain and its aliases."""
        mesh = self.ctx.mesh
        return mesh.trust_domain, mesh.trust_domain_aliases

    def ext_authz(self, name: str, policy: AuthorizationPolicy) -> f.ExtAuthz | None:
        """The call that an authorization provider stands for; None, which is reported, when there is no such provider."""
        provider = self.ctx.mesh.provider(name)
        if provider is None:
            self._report(name, policy, f"the mesh configuration has no extension provider {name!r}")
            return None
        given = provider.envoy_ext_authz_grpc or provider.envoy_ext_authz_http
        if given is None:
            self._report(name, policy, f"extension provider {name!r} is not one for authorization")
            return None
        host = self._service(given.service)
        if host is None:
            self._report(name, policy, f"service {given.service!r} of extension provider {name!r} does not exist")
            return None
        return _call(given, cluster_name(given.port, "", host.known.host))

    def _service(self, written: str) -> Host | None:
        """`namespace/host` or a host; a host alone must be unique."""
        namespace, slash, host = written.rpartition("/")
        visible = self.ctx.registry.hosts_visible_from(self.namespace)
        found = [one for one in visible if one.known.host == host.lower()]
        if slash:
            found = [one for one in found if one.known.namespace == namespace]
        return found[0] if len(found) == 1 else None

    def report_several(self, names: list[str], policy: AuthorizationPolicy) -> None:
        """Several providers on one workload: istiod refuses what their rules match."""
        self._report(", ".join(names), policy, f"a workload takes one extension provider, not {', '.join(names)}")

    def _report(self, name: str, policy: AuthorizationPolicy, why: str) -> None:
        if name in self._reported:
            return
        self._reported.add(name)
        kept = None if self.ctx.in_force.given else "the files hold no mesh configuration (ConfigMap istio-system/istio)"
        self.ctx.find(
            "PROVIDER_MISSING",
            f"{policy.ref}: {why}, so requests that its rules match are refused with 403",
            policy,
            "provider.name",
            help=kept,
        )


def _call(given: ExtAuthzGrpc | ExtAuthzHttp, cluster: str) -> f.ExtAuthz:
    body = given.include_request_body_in_check
    status = given.status_on_error or ""
    return f.ExtAuthz(
        cluster=cluster,
        protocol="grpc" if isinstance(given, ExtAuthzGrpc) else "http",
        timeout_s=DEFAULT_TIMEOUT_S if given.timeout_s is None else given.timeout_s,
        fail_open=given.fail_open,
        status_on_error=int(status) if status.isdigit() else DEFAULT_STATUS,
        path_prefix=(given.path_prefix or "") if isinstance(given, ExtAuthzHttp) else "",
        with_body_max_bytes=body.max_request_bytes if body is not None else 0,
        allow_partial_body=body is not None and body.allow_partial_message,
        clear_route_cache=given.clear_route_cache,
    )
