"""The mesh configuration in force: istiod's defaults, what the files give, and overrides of single fields."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gwsim.diagnostics import Collector
from gwsim.resources.context import ObjectContext, SourceFile
from gwsim.resources.decode import decode_fields, schema_of
from gwsim.resources.models.install import IstioOperator, SailIstio
from gwsim.resources.models.mesh_config import MeshConfig, MeshConfigMap, MeshNetworks, ProxySettings
from gwsim.resources.resource_set import ResourceSet
from gwsim.resources.yaml_nodes import Node, documents

_M = TypeVar("_M")


@dataclass(frozen=True, slots=True)
class Mesh:
    """Mesh configuration and networks. `given`: the files or the overrides hold any."""

    config: MeshConfig = field(default_factory=MeshConfig)
    networks: MeshNetworks = field(default_factory=MeshNetworks)
    given: bool = False


def mesh_of(resources: ResourceSet, overrides: Mapping[str, Any] | None = None, *, collector: Collector | None = None) -> Mesh:
    """The mesh of a cluster's objects: ConfigMap `istio`, those of revisions, or what an installation says.

    `overrides` are MeshConfig fields in their JSON form; each replaces the field of the files, those of `defaultConfig`
    one by one. What cannot be read of them goes to `collector`.
    """
    maps = sorted(resources.of(MeshConfigMap), key=lambda one: (one.name != "istio", one.name))
    config = next((one.mesh for one in maps if one.mesh is not None), None)
    networks = next((one.mesh_networks for one in maps if one.mesh_networks is not None), None)
    installed, installed_networks = _installed(resources, Collector() if collector is None else collector)
    config, networks = config or installed, networks or installed_networks
    given = config is not None
    config = config or MeshConfig()
    if overrides:
        config, given = _overridden(config, overrides, Collector() if collector is None else collector), True
    return Mesh(config, networks or MeshNetworks(), given)


def _installed(resources: ResourceSet, collector: Collector) -> tuple[MeshConfig | None, MeshNetworks | None]:
    """Mesh configuration and networks of an IstioOperator, or of the Sail operator's `Istio`."""
    config: MeshConfig | None = None
    networks: MeshNetworks | None = None
    installations: list[IstioOperator | SailIstio] = [*resources.of(IstioOperator), *resources.of(SailIstio)]
    for one in installations:
        values = one.values if isinstance(one.values, dict) else {}
        if isinstance(one, IstioOperator) and config is None:
            config = one.mesh_config
        if config is None and isinstance(values.get("meshConfig"), dict):
            config = _overridden(MeshConfig(), values["meshConfig"], collector)
        shared = values.get("global")
        found = shared.get("meshNetworks") if isinstance(shared, dict) else None
        if networks is None and isinstance(found, dict) and found:
            networks = MeshNetworks(**_values(MeshNetworks, json.dumps({"networks": found}, default=str), "<values>", one.ref, collector))
    return config, networks


def _overridden(config: MeshConfig, overrides: Mapping[str, Any], collector: Collector) -> MeshConfig:
    text = json.dumps(overrides, default=str)
    values = _values(MeshConfig, text, "<mesh_config>", "mesh_config", collector)
    settings = values.get("default_config")
    if settings is not None:
        values["default_config"] = overlay(config.default_config, settings)
    return dataclasses.replace(config, **values)


def proxy_settings(base: ProxySettings, annotation: str, ref: str, collector: Collector) -> ProxySettings:
    """`base` with the fields of a pod's `proxy.istio.io/config` annotation; `ref` names the pod in findings."""
    if not annotation.strip():
        return base
    return overlay(base, ProxySettings(**_values(ProxySettings, annotation, "proxy.istio.io/config", ref, collector)))


def _values(cls: type, text: str, name: str, ref: str, collector: Collector) -> dict[str, Any]:
    """The fields a text gives of a message, by attribute."""
    root = next(iter(documents(text)), None)
    if not isinstance(root, Node):
        return {}
    return decode_fields(schema_of(cls, True), ObjectContext(SourceFile(name, text), collector, ref, "warn"), root, ()) or {}


def overlay(base: _M, over: _M) -> _M:
    """`base` with every field that `over` gives; maps are merged, messages replaced whole.

    That is how istiod combines `defaultConfig` with what single pods say (istio/api mesh/v1alpha1/proxy.proto).
    """
    given: dict[str, Any] = {}
    for one in dataclasses.fields(base):  # type: ignore[arg-type]
        value, before = getattr(over, one.name), getattr(base, one.name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            given[one.name] = {**before, **value}
        elif value is not None:
            given[one.name] = value
    return dataclasses.replace(base, **given)  # type: ignore[type-var]
