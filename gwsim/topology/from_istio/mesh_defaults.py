"""What the mesh configuration says for objects and proxies that say nothing themselves.

Sources: istio/istio pilot/pkg/model/push_context.go (`initDefaultExportMaps`), pkg/kube/namespace/filter.go (discovery
selectors), pilot/pkg/networking/core/{listener,httproute}.go (path normalisation, gateway topology).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from gwsim.resources import ResourceSet
from gwsim.resources.mesh import overlay, proxy_settings
from gwsim.resources.models import (
    DestinationRule,
    MeshConfig,
    MeshConfigMap,
    Namespace,
    ProxyConfig,
    ProxySettings,
    Resource,
    Service,
    ServiceEntry,
    VirtualService,
)
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.registry import EXPORT_ANNOTATION, contains

CONFIG_ANNOTATION = "proxy.istio.io/config"
DEFAULT_SAMPLING_PERCENT = 1.0
"""Share of requests that make spans where nothing is said (`PILOT_TRACE_SAMPLING`)."""
_EVERYBODY = ("*",)
_Exported = TypeVar("_Exported", VirtualService, DestinationRule, ServiceEntry)


def with_mesh_defaults(resources: ResourceSet, mesh: MeshConfig) -> ResourceSet:
    """The objects istiod looks at, with the visibility that the mesh gives those that name none."""
    objects: Iterable[Resource] = resources.all
    if mesh.discovery_selectors:
        objects = _discovered(resources, mesh)
    if any(
        one != _EVERYBODY
        for one in (mesh.default_service_export_to, mesh.default_virtual_service_export_to, mesh.default_destination_rule_export_to)
    ):
        objects = [_exported(one, mesh) for one in objects]
    return resources if objects is resources.all else ResourceSet(objects)


def _discovered(resources: ResourceSet, mesh: MeshConfig) -> list[Resource]:
    """Objects of selected namespaces; namespaces that the files do not hold are taken to be selected."""
    left_out = {
        one.name
        for one in resources.of(Namespace)
        if not any(selector.selects(one.meta.labels) for selector in mesh.discovery_selectors)
    }
    kept = (Namespace, MeshConfigMap)
    return [one for one in resources.all if isinstance(one, kept) or one.namespace not in left_out]


def _exported(resource: Resource, mesh: MeshConfig) -> Resource:
    if isinstance(resource, VirtualService):
        return _with_export(resource, mesh.default_virtual_service_export_to)
    if isinstance(resource, DestinationRule):
        return _with_export(resource, mesh.default_destination_rule_export_to)
    if isinstance(resource, ServiceEntry):
        return _with_export(resource, mesh.default_service_export_to)
    if isinstance(resource, Service) and EXPORT_ANNOTATION not in resource.meta.annotations:
        annotations = {**resource.meta.annotations, EXPORT_ANNOTATION: ",".join(mesh.default_service_export_to)}
        return replace(resource, meta=replace(resource.meta, annotations=annotations))
    return resource


def _with_export(resource: _Exported, default: tuple[str, ...]) -> _Exported:
    return resource if resource.export_to else replace(resource, export_to=default)


def settings_of(
    ctx: Context, annotations: Mapping[str, str], ref: str, *, namespace: str, labels: Mapping[str, str]
) -> ProxySettings:
    """What a proxy is started with: the mesh's `defaultConfig`, ProxyConfigs of the root and of its own namespace,
    the annotation of its pods, ProxyConfigs that select it; each over those before.

    Of one scope the oldest ProxyConfig counts. Source: istio/istio pilot/pkg/model/proxy_config.go.
    """
    base = ctx.mesh.default_config
    for scope in dict.fromkeys((ctx.root_namespace, namespace)):
        base = _with_object(base, _proxy_config(ctx, scope, None))
    base = proxy_settings(base, annotations.get(CONFIG_ANNOTATION, ""), ref, ctx.collector)
    return _with_object(base, _proxy_config(ctx, namespace, labels))


def _proxy_config(ctx: Context, namespace: str, labels: Mapping[str, str] | None) -> ProxyConfig | None:
    """The oldest ProxyConfig of a namespace: that selects pods with these labels, or (None) that has no selector."""
    for one in ctx.policies.proxy_configs:
        wanted = one.selector.match_labels if one.selector is not None else {}
        fits = contains(labels, wanted) if labels is not None and wanted else labels is None and not wanted
        if one.namespace == namespace and fits:
            return one
    return None


def _with_object(base: ProxySettings, config: ProxyConfig | None) -> ProxySettings:
    if config is None:
        return base
    return overlay(base, ProxySettings(concurrency=config.concurrency, proxy_metadata=config.environment_variables))


def telemetry_fields(ctx: Context, settings: ProxySettings) -> dict[str, Any]:
    """Access log and tracing of a proxy, as fields of it."""
    mesh = ctx.mesh
    fields: dict[str, Any] = {"access_log": bool(mesh.access_log_file or mesh.default_providers.access_logging)}
    tracing = settings.tracing
    collected = bool(mesh.default_providers.tracing) or (tracing is not None and tracing.collector)
    if mesh.tracing_enabled and collected:
        given = tracing.sampling if tracing is not None else None
        fields["trace_sampling_percent"] = DEFAULT_SAMPLING_PERCENT if given is None else given
    return fields


def manager_fields(ctx: Context, settings: ProxySettings) -> dict[str, Any]:
    """What the mesh says about a gateway's HTTP connection managers."""
    kind = ctx.mesh.path_normalization.normalization
    fields: dict[str, Any] = {}
    if kind == "NONE":
        fields["normalize_path"] = False
    if kind in ("MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"):
        fields["merge_slashes"] = True
    if kind == "DECODE_AND_MERGE_SLASHES":
        fields["unescape_slashes"] = True
    if settings.gateway_topology is not None:
        fields["xff_num_trusted_hops"] = settings.gateway_topology.num_trusted_proxies
    return fields
