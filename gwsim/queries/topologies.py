"""The topology of each case, made once for all cases with the same files and the same gateway.

Every file is read once, whatever the number of cases and configurations it is part of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gwsim.diagnostics import Collector, Finding
from gwsim.queries.case import Case, GatewayRef
from gwsim.resources import ResourceSet, read
from gwsim.resources.models.base import Resource
from gwsim.topology import Proxy, TargetMissing, Topology
from gwsim.topology.from_istio import from_istio


@dataclass(frozen=True, slots=True)
class Built:
    """A topology, the proxy that is asked, and what was noticed on the way."""

    topology: Topology
    proxy: Proxy
    findings: tuple[Finding, ...]


class NotServed(Exception):
    """The Gateway exists, and no proxy of Istio's serves it (its class is another's, or nothing of it is valid)."""


@dataclass(slots=True)
class Topologies:
    """Keeps what was read and built. `assume_exists` holds for all cases, `istio_version` for those that name none."""

    istio_version: str = "1.30"
    assume_exists: tuple[str, ...] = ()
    _files: dict[str, tuple[tuple[Resource, ...], tuple[Finding, ...]]] = field(default_factory=dict)
    _built: dict[str, tuple[Topology, tuple[Finding, ...]]] = field(default_factory=dict)

    def of(self, case: Case) -> Built:
        """What a case is asked of. Raises TargetMissing when the configuration has no such gateway, else NotServed."""
        assert case.gateway is not None
        topology, findings = self._topology(case)
        try:
            return Built(topology, proxy_of(topology, case.gateway), findings)
        except TargetMissing:
            if self._written(case):
                raise NotServed(f"no proxy of Istio serves {case.gateway}") from None
            raise

    def _written(self, case: Case) -> bool:
        """Whether the files of a case hold the Gateway that it asks."""
        assert case.gateway is not None
        objects = [one for path in case.config for one in self._files[path][0]]
        wanted = (case.gateway.namespace, case.gateway.name)
        return any(one.meta.kind == "Gateway" and (one.namespace, one.name) == wanted for one in objects)

    def _topology(self, case: Case) -> tuple[Topology, tuple[Finding, ...]]:
        assert case.gateway is not None
        gateway = case.gateway
        declared = [gateway.kind, gateway.namespace, dict(gateway.labels)] if gateway.kind in ("selector", "mesh") else []
        version = case.istio_version or self.istio_version
        key = json.dumps([case.config, declared, case.mesh_config, version], sort_keys=True, default=str)
        if key not in self._built:
            self._built[key] = self._build(case.config, gateway, case.mesh_config, version)
        return self._built[key]

    def _build(
        self, config: tuple[str, ...], gateway: GatewayRef, mesh_config: Mapping[str, Any], istio_version: str
    ) -> tuple[Topology, tuple[Finding, ...]]:
        collector = Collector()
        resources = self._resources(config, collector)
        topology = from_istio(
            resources,
            istio_version=istio_version,
            assume_exists=self.assume_exists,
            collector=collector,
            gateways=[(gateway.namespace, gateway.labels)] if gateway.kind == "selector" else (),
            sidecars=[(gateway.namespace, gateway.labels)] if gateway.kind == "mesh" else (),
            mesh_config=mesh_config or None,
        )
        return topology, collector.findings

    def _resources(self, config: tuple[str, ...], collector: Collector) -> ResourceSet:
        """The objects of several files; of one that is in two of them the later counts, as with `kubectl apply`."""
        objects: dict[tuple[str, str, str], Resource] = {}
        for path in config:
            if path not in self._files:
                own = Collector()
                self._files[path] = read([path], collector=own).all, own.findings
            found, findings = self._files[path]
            collector.extend(findings)
            for one in found:
                key = (one.meta.api_version.rpartition("/")[0] + one.meta.kind, one.namespace, one.name)
                objects.pop(key, None)
                objects[key] = one
        return ResourceSet(objects.values())


def proxy_of(topology: Topology, gateway: GatewayRef) -> Proxy:
    """The proxy a case asks. Raises TargetMissing."""
    if gateway.kind in ("gateway_api", "istio"):
        api: Literal["istio", "gateway-api"] = "gateway-api" if gateway.kind == "gateway_api" else "istio"
        return topology.proxies_of(gateway.namespace, gateway.name, api=api)[1][0]
    for proxy in topology.proxies:
        if proxy.namespace != gateway.namespace:
            continue
        if gateway.kind == "mesh" and proxy.kind == "sidecar" and proxy.labels == gateway.labels:
            return proxy
        if gateway.kind == "selector" and all(proxy.labels.get(key) == value for key, value in gateway.labels.items()):
            return proxy
    have = ", ".join(sorted(proxy.key for proxy in topology.proxies)) or "none"
    raise TargetMissing(f"the configuration has no proxy for {gateway}; it has {have}")
