"""Gateway workloads: the Deployments that Gateways select, or the fleet Istio's chart would create.

Sources: istio/istio manifests/charts/gateway (chart facts), pilot/cmd/pilot-agent/config/config.go (concurrency),
manifests/charts/istio-control/istio-discovery/files/gateway-injection-template.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gwsim.resources.models import Container, KubernetesGateway, PodOwner, PodSpec, ProxySettings, Service
from gwsim.topology.from_istio.autoscaling import autoscaler_from, chart_autoscaler
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.converted import Deployed, ListenerGateway
from gwsim.topology.from_istio.endpoints import NETWORK_LABEL
from gwsim.topology.from_istio.gateway_services import NO_TRANSLATION_LABEL, entries_in_front
from gwsim.topology.from_istio.hosts import DOMAIN, service_host
from gwsim.topology.from_istio.injection import looks_like_gateway
from gwsim.topology.from_istio.mesh_defaults import CONFIG_ANNOTATION, settings_of, telemetry_fields
from gwsim.topology.from_istio.nodes import cpus_of, usable
from gwsim.topology.from_istio.placement import autoscaler_of, locality, replicas_at_start, zones_of
from gwsim.topology.from_istio.registry import contains
from gwsim.topology.model import ProxyPod, ProxyService, ProxyServicePort

STATUS_PORT = 15021
CHART = {
    "cpu_request_cores": 0.1,
    "cpu_limit_cores": 2.0,
    "memory_request_bytes": 128 * 2.0**20,
    "memory_limit_bytes": 1024 * 2.0**20,
}
"""Requests and limits of the chart and of the injected proxy container."""
ASSUMED_NODE_CPUS = 8


@dataclass(slots=True, eq=False)
class Workload:
    """A gateway workload before its listeners are built."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    deployment: PodOwner | None = None
    gateway: KubernetesGateway | None = None
    """The Gateway of the Gateway API that Istio deploys it for."""
    services: tuple[ProxyService, ...] = ()
    unprivileged: bool = False
    settings: ProxySettings = field(default_factory=ProxySettings)
    """What its proxies are started with."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Further keyword arguments of the proxy."""
    assumed: list[str] = field(default_factory=list)

    @property
    def proxy_protocol(self) -> bool:
        """Whether its listeners expect a PROXY protocol header."""
        topology = self.settings.gateway_topology
        return topology is not None and topology.proxy_protocol is not None

    @property
    def services_known(self) -> bool:
        """Whether the Services in front of it are in the files."""
        return any(service.origin is not None for service in self.services)


def workloads(ctx: Context, declared: Sequence[tuple[str, Mapping[str, str]]]) -> list[Workload]:
    """All gateway workloads: Deployments in order of name, then those declared (namespace, pod labels) or assumed."""
    selectors = [gateway.selector for gateway in ctx.registry.gateways if gateway.selector]
    found = [
        _from_deployment(ctx, one)
        for one in sorted(ctx.registry.deployments, key=lambda one: (one.namespace, one.name))
        if looks_like_gateway(one) or any(contains(one.labels, selector) for selector in selectors)
    ]
    for namespace, labels in declared:
        if not any(one.namespace == namespace and contains(one.labels, labels) for one in found):
            found.append(_assumed(ctx, labels, namespace))
    for deployed in ctx.converted.deployed:
        _add_deployed(ctx, deployed, found)
    return found + _assumed_for_gateways(ctx, found)


def _assumed_for_gateways(ctx: Context, found: list[Workload]) -> list[Workload]:
    """Fleets for Gateways that select nothing. With gateway Deployments in the files it is a mistake instead."""
    made: list[Workload] = []
    kept_elsewhere = {name: namespace for namespace, name in ctx.registry.assumed.of("Deployment")}
    for gateway in ctx.registry.gateways:
        if isinstance(gateway, ListenerGateway) or any(contains(one.labels, gateway.selector) for one in found + made):
            continue
        name, _ = _chart_identity(gateway.selector)
        if any(one.deployment is not None for one in found) and name not in kept_elsewhere:
            selector = ", ".join(f"{key}={value}" for key, value in gateway.selector.items()) or "empty"
            ctx.find(
                "SELECTOR_MATCHES_NOTHING",
                f"{gateway.ref}: no gateway Deployment in the files has the labels {selector}",
                gateway,
                "selector",
                help=f"if it is kept elsewhere, declare it: assume_exists: [Deployment/<namespace>/{name}]",
            )
            continue
        made.append(_assumed(ctx, gateway.selector, kept_elsewhere.get(name) or _namespace_of(ctx, gateway.selector, gateway.namespace)))
    return made


def _chart_identity(selector: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Name and labels the chart would give pods that the selector selects."""
    if not selector:
        selector = {"istio": "ingressgateway"}
    if "app" in selector:
        name = selector["app"]
    elif "istio" in selector:
        name = f"istio-{selector['istio']}"
    else:
        name = next(iter(selector.values()))
    return name, {"app": name, "istio": name.removeprefix("istio-"), **selector}


def _namespace_of(ctx: Context, selector: Mapping[str, str], default: str) -> str:
    for service in ctx.registry.services:
        if service.selector and contains(service.selector, selector) and selector:
            return service.namespace
    name, _ = _chart_identity(selector)
    return "istio-system" if name in ("istio-ingressgateway", "istio-egressgateway") else default


def _assumed(ctx: Context, selector: Mapping[str, str], namespace: str) -> Workload:
    name, labels = _chart_identity(selector)
    matching = [
        one
        for one in ctx.registry.services
        if one.namespace == namespace and one.selector and selector
        and (contains(one.selector, selector) or contains(labels, one.selector))
    ]  # fmt: skip
    for service in matching:
        labels |= service.selector
    settings = settings_of(ctx, {}, f"{namespace}/{name}", namespace=namespace, labels=labels)
    workload = Workload(name=name, namespace=namespace, labels=labels, settings=settings)
    workload.assumed.append(
        f"gateway {namespace}/{name} has no Deployment in the files: the fleet of Istio's gateway chart is taken "
        "(1 to 5 replicas at 80 % CPU, requests 100m CPU and 128Mi, limits 2 CPU and 1Gi, so 2 workers)"
    )
    if matching:
        workload.services = tuple(_proxy_service(one, None) for one in matching)
    else:
        entries = entries_in_front(ctx, name, namespace, labels)
        workload.services = tuple(entries) or (_chart_service(ctx, workload),)
    replicas = 1
    workload.fields = {
        **CHART,
        "replicas": replicas,
        "workers": settings.concurrency or 2,
        "autoscaler": chart_autoscaler(name),
        "zones": ctx.zones,
        "pods": _pods(ctx, name, replicas, ctx.zones),
        **telemetry_fields(ctx, workload.settings),
    }
    return workload


def _add_deployed(ctx: Context, deployed: Deployed, found: list[Workload]) -> None:
    """The workload of a Gateway of the Gateway API, unless it is among `found` already."""
    namespace = deployed.gateway.namespace
    if deployed.managed:
        known = next((one for one in found if (one.namespace, one.name) == (namespace, deployed.name)), None)
        if known is None:
            written = [one for one in ctx.registry.deployments if (one.namespace, one.name) == (namespace, deployed.name)]
            known = _from_deployment(ctx, written[0]) if written else _managed(ctx, deployed)
            found.append(known)
        known.gateway = deployed.gateway
        return
    for host in deployed.services:
        name, _, rest = host.partition(".")
        if not rest.endswith(f".svc.{DOMAIN}"):
            message = f"{deployed.gateway.ref}: {host} is not a Service of the cluster; nothing is served there"
            ctx.find("GATEWAY_PART_IGNORED", message, deployed.gateway, "addresses")
            continue
        owner = rest.removesuffix(f".svc.{DOMAIN}")
        if any((one.namespace, one.name) == (owner, name) for workload in found for one in workload.services):
            continue
        service = next((one for one in ctx.registry.services if (one.namespace, one.name) == (owner, name)), None)
        behind = ctx.registry.deployments_behind(service.selector, owner) if service is not None else []
        if behind:
            found += [_from_deployment(ctx, one) for one in behind]
        elif service is not None and service.selector:
            found.append(_assumed(ctx, service.selector, owner))
        else:
            selector = {"istio": name.removeprefix("istio-")} if name.startswith("istio-") else {"app": name}
            found.append(_assumed(ctx, selector, owner))


def _managed(ctx: Context, deployed: Deployed) -> Workload:
    """The fleet that Istio deploys for a Gateway: one pod, more only by an autoscaler of the user's.

    Source: istio/istio manifests/charts/istio-control/istio-discovery/files/kube-gateway.yaml.
    """
    gateway, name = deployed.gateway, deployed.name
    workload = Workload(
        name=name, namespace=gateway.namespace, labels=dict(deployed.labels), gateway=gateway, settings=ctx.mesh.default_config
    )
    scaler = next(
        (
            one
            for one in ctx.registry.autoscalers
            if one.namespace == gateway.namespace and (one.scale_target_ref.kind, one.scale_target_ref.name) == ("Deployment", name)
        ),
        None,
    )
    written = [one for one in ctx.registry.services if (one.namespace, one.name) == (gateway.namespace, name)]
    if written:
        workload.services = (_proxy_service(written[0], None),)
    else:
        workload.services = (_managed_service(deployed),)
    replicas = scaler.min_replicas if scaler is not None else 1
    workload.assumed.append(
        f"Gateway {gateway.namespace}/{gateway.name} gets the Deployment {name} that Istio makes for it: "
        f"{replicas} {'replica' if replicas == 1 else 'replicas'}, requests 100m CPU and 128Mi, limits 2 CPU and 1Gi, so 2 workers"
    )
    workload.fields = {
        **CHART,
        "replicas": replicas,
        "workers": ctx.mesh.default_config.concurrency or 2,
        "autoscaler": autoscaler_from(ctx, scaler) if scaler is not None else None,
        "zones": ctx.zones,
        "pods": _pods(ctx, name, replicas, ctx.zones),
        "network": gateway.meta.labels.get(NETWORK_LABEL, ""),
        **telemetry_fields(ctx, workload.settings),
    }
    return workload


def _managed_service(deployed: Deployed) -> ProxyService:
    """The Service that Istio makes: the listeners' ports and the one for health checks."""
    status = ProxyServicePort(port=STATUS_PORT, target_port=STATUS_PORT, name="status-port", app_protocol="tcp")
    return ProxyService(
        name=deployed.name,
        namespace=deployed.gateway.namespace,
        type=deployed.service_type,
        ports=(status, *deployed.ports),
    )


def _chart_service(ctx: Context, workload: Workload) -> ProxyService:
    """The chart's Service, with the ports that Gateways of this workload declare beside its own."""
    host = service_host(workload.name, workload.namespace)
    declared = {
        server.port.number
        for gateway in ctx.registry.gateways
        if (host in gateway.bound_to if isinstance(gateway, ListenerGateway) else contains(workload.labels, gateway.selector))
        for server in gateway.servers
    }
    names = {STATUS_PORT: "status-port", 80: "http2", 443: "https"}
    ports = [*names, *sorted(declared - set(names))]
    workload.assumed.append(
        f"gateway {workload.namespace}/{workload.name} has no Service in the files: the chart's is taken, with "
        f"ports {', '.join(str(port) for port in ports)}, each to the same port of the pods"
    )
    return ProxyService(
        name=workload.name,
        namespace=workload.namespace,
        type="LoadBalancer",
        ports=tuple(ProxyServicePort(port=one, target_port=one, name=names.get(one, f"port-{one}")) for one in ports),
    )


def _from_deployment(ctx: Context, deployment: PodOwner) -> Workload:
    key = f"{deployment.namespace}/{deployment.name}"
    proxy = deployment.container("istio-proxy") or next(iter(deployment.containers), None)
    workload = Workload(
        name=deployment.name,
        namespace=deployment.namespace,
        labels=dict(deployment.labels),
        deployment=deployment,
        unprivileged=proxy is not None
        and any(one.name == "ISTIO_META_UNPRIVILEGED_POD" and one.value == "true" for one in proxy.env),
    )
    selecting = ctx.registry.services_selecting(deployment.labels, deployment.namespace)
    if selecting:
        workload.services = tuple(_proxy_service(one, deployment) for one in selecting)
    else:
        workload.services = (_chart_service(ctx, workload),)
    spec, replicas = deployment.template.spec, replicas_at_start(ctx, deployment)
    zones = zones_of(ctx, spec, key)
    scaler = autoscaler_of(ctx, deployment)
    settings = settings_of(
        ctx,
        deployment.annotations,
        f"{deployment.ref} {CONFIG_ANNOTATION}",
        namespace=deployment.namespace,
        labels=deployment.labels,
    )
    workload.settings = settings
    resources = _resources(workload, proxy)
    workload.fields = {
        **resources,
        "replicas": replicas,
        "workers": _workers(ctx, workload, proxy, settings, resources["cpu_limit_cores"]),
        "autoscaler": autoscaler_from(ctx, scaler) if scaler is not None else None,
        "zones": zones,
        "pods": _pods(ctx, deployment.name, replicas, zones, spec),
        "network": deployment.labels.get(NETWORK_LABEL, ""),
        "identity": identity(ctx, deployment.namespace, spec.service_account_name),
        "termination_grace_s": float(spec.termination_grace_period_seconds),
        "termination_drain_s": 5.0 if settings.termination_drain_duration_s is None else settings.termination_drain_duration_s,
        "origin": deployment.span,
        **telemetry_fields(ctx, settings),
    }
    return workload


def identity(ctx: Context, namespace: str, account: str | None) -> str:
    """The identity that istiod certifies for a workload. Source: istio pkg/spiffe/spiffe.go."""
    return f"{ctx.mesh.trust_domain}/ns/{namespace}/sa/{account or 'default'}"


def _pods(ctx: Context, name: str, replicas: int, zones: tuple[str, ...], spec: PodSpec | None = None) -> tuple[ProxyPod, ...]:
    return tuple(ProxyPod(name=f"{name}-{n}", locality=locality(ctx, zones, n, spec)) for n in range(replicas))


def _resources(workload: Workload, proxy: Container | None) -> dict[str, float | None]:
    """The container's requests and limits; an injected proxy gets the injector's where it says nothing."""
    requests = proxy.resources.requests if proxy else None
    limits = proxy.resources.limits if proxy else None
    given = {
        "cpu_request_cores": requests.cpu_cores if requests else None,
        "cpu_limit_cores": limits.cpu_cores if limits else None,
        "memory_request_bytes": requests.memory_bytes if requests else None,
        "memory_limit_bytes": limits.memory_bytes if limits else None,
    }
    injected = proxy is not None and proxy.image == "auto"
    if injected and all(value is None for value in given.values()):
        workload.assumed.append(
            f"gateway {workload.namespace}/{workload.name} gives no resources: the injector's are taken "
            "(requests 100m CPU and 128Mi, limits 2 CPU and 1Gi)"
        )
        return dict(CHART)
    if given["cpu_request_cores"] is None:
        # Kubernetes takes the limit as the request where only the limit is given.
        given["cpu_request_cores"] = given["cpu_limit_cores"]
    return given


def _workers(
    ctx: Context, workload: Workload, proxy: Container | None, settings: ProxySettings, limit_cores: float | None
) -> int:
    """Worker threads: `concurrency` if given (0: all cores), else the CPU limit rounded up, else the node's cores."""
    concurrency = _argument(proxy, "--concurrency") if settings.concurrency is None else settings.concurrency
    if concurrency is not None and concurrency > 0:
        return concurrency
    if concurrency is None and limit_cores:
        return max(1, math.ceil(limit_cores))
    if cpus := ctx.node_cpus or _node_cpus(ctx, workload):
        return cpus
    workload.assumed.append(
        f"gateway {workload.namespace}/{workload.name} has no CPU limit and its nodes are not known: "
        f"{ASSUMED_NODE_CPUS} cores, so {ASSUMED_NODE_CPUS} workers, are taken"
    )
    return ASSUMED_NODE_CPUS


def _node_cpus(ctx: Context, workload: Workload) -> int:
    """Cores of the smallest node of the files that the pods may run on; 0 when that is not known."""
    nodes = ctx.registry.nodes
    return cpus_of(nodes if workload.deployment is None else usable(nodes, workload.deployment.template.spec))


def _argument(proxy: Container | None, name: str) -> int | None:
    args = proxy.args if proxy is not None else ()
    for position, arg in enumerate(args):
        text = arg.removeprefix(f"{name}=") if arg.startswith(f"{name}=") else None
        if arg == name and position + 1 < len(args):
            text = args[position + 1]
        if text is not None and text.isdigit():
            return int(text)
    return None


def _proxy_service(service: Service, deployment: PodOwner | None) -> ProxyService:
    return ProxyService(
        name=service.name,
        namespace=service.namespace,
        type=service.type,
        ports=tuple(
            ProxyServicePort(
                port=port.port,
                target_port=_target(port.target_port, port.port, deployment),
                name=port.name or "",
                app_protocol=port.app_protocol or "",
                protocol="UDP" if port.protocol == "UDP" else "TCP",
            )
            for port in service.ports
        ),
        external_traffic_policy=service.external_traffic_policy or "Cluster",
        translate_ports=NO_TRANSLATION_LABEL not in service.meta.labels,
        origin=service.span,
    )


def _target(target: int | str | None, port: int, deployment: PodOwner | None) -> int:
    if isinstance(target, int):
        return target
    containers = deployment.containers if deployment is not None else ()
    for container in containers:
        for one in container.ports:
            if target is not None and one.name == target:
                return one.container_port
    return port
