"""All filters that a workload's chains get from policies, plugins and Telemetry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gwsim.topology.from_istio.attachment import Attached, PolicyIndex
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.filter_order import Inserts, filter_chain
from gwsim.topology.from_istio.plugins import Plugins
from gwsim.topology.from_istio.providers import Providers
from gwsim.topology.from_istio.security import SecurityFilters
from gwsim.topology.from_istio.telemetry import TelemetryView
from gwsim.topology.listeners import FilterChain, HttpConnectionManager, HttpFilter, Listener, NetworkFilter


class WorkloadFilters:
    """Filters of one workload. `client`: the chains lead out of the workload, as those of gateways do."""

    def __init__(self, ctx: Context, index: PolicyIndex, workload: Attached, *, client: bool = True) -> None:
        self.ctx, self.workload = ctx, workload
        providers = Providers(ctx, workload.namespace)
        self.security = SecurityFilters(ctx, index, workload, providers)
        self.plugins = Plugins(index, workload, client=client)
        self.telemetry = TelemetryView(ctx, index, workload)
        self._chains: dict[int, tuple[HttpFilter, ...]] = {}
        self._network: tuple[NetworkFilter, ...] | None = None
        index.use([*self.security.policies, *self.security.tokens, *self.plugins.plugins])
        self._report_network_plugins()

    def http(self, port: int) -> tuple[HttpFilter, ...]:
        """HTTP filters of the connection managers on a listening port."""
        found = self._chains.get(port)
        if found is None:
            found = self._chains[port] = self._http(port)
        return found

    def _http(self, port: int) -> tuple[HttpFilter, ...]:
        inserts = Inserts(
            custom=self.security.http_custom(),
            authn=self.plugins.of("authn", port),
            jwt=self.security.jwt(),
            authz=self.plugins.of("authz", port),
            rbac=self.security.http_access(),
            stats=self.plugins.of("stats", port),
            rest=self.plugins.of("", port),
        )
        return filter_chain(inserts, stats=self.telemetry.stats())

    def outbound(self, port: int) -> tuple[HttpFilter, ...]:
        """HTTP filters of a sidecar's listener for what its workload sends: access rules are for what it gets."""
        of = self.plugins.of
        inserts = Inserts(authn=of("authn", port), authz=of("authz", port), stats=of("stats", port), rest=of("", port))
        return filter_chain(inserts, stats=self.telemetry.stats())

    def network(self) -> tuple[NetworkFilter, ...]:
        """Network filters of the chains that proxy TCP. Chains that pass Istio's own TLS through have none."""
        if self._network is None:
            self._network = self.security.network()
        return self._network

    def _report_network_plugins(self) -> None:
        for plugin in self.plugins.network:
            self.ctx.find(
                "NOT_MODELLED",
                f"{plugin.ref}: a plugin for TCP has no effect in the model: what plugins decide is not followed",
                plugin,
                "type",
            )


def outbound_filtered(listeners: Iterable[Listener], filters: WorkloadFilters) -> tuple[Listener, ...]:
    """A sidecar's listeners with the filters of its workload."""

    def filtered(chain: FilterChain, port: int) -> FilterChain:
        manager = chain.filter
        if not isinstance(manager, HttpConnectionManager):
            return chain
        return replace(chain, filter=replace(manager, http_filters=filters.outbound(port)))

    return tuple(
        replace(one, filter_chains=tuple(filtered(chain, one.port) for chain in one.filter_chains)) for one in listeners
    )


def report_unused(ctx: Context) -> None:
    """Policies of workloads that are not simulated are listed, not passed over."""
    for one in ctx.policies.unused:
        ctx.find(
            "NOT_MODELLED",
            f"{one.ref} is for no gateway here; what sidecars let in and do to it is not modelled",
            one,
        )
