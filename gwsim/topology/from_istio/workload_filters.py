"""All filters that a workload's chains get from policies, plugins and Telemetry."""

from __future__ import annotations

from gwsim.topology.from_istio.attachment import Attached, PolicyIndex
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.filter_order import Inserts, filter_chain
from gwsim.topology.from_istio.plugins import Plugins
from gwsim.topology.from_istio.providers import Providers
from gwsim.topology.from_istio.security import SecurityFilters
from gwsim.topology.from_istio.telemetry import TelemetryView
from gwsim.topology.listeners import HttpFilter, NetworkFilter


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
