"""The mesh configuration a set of files holds: ConfigMap `istio`, an IstioOperator, or the plain text of either field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gwsim.resources.decode import schema_of
from gwsim.resources.models.mesh_config import MeshConfig
from gwsim.resources.raw import RawObject, mapping, plain, text
from gwsim.resources.yaml_nodes import Problem, documents, prepare
from gwsim.topology.lint.hosts import DEFAULT_DOMAIN

MESH_FIELDS = frozenset({*schema_of(MeshConfig, False).by_name, *MeshConfig.other_fields, "clusterDomain", "hboneInboundPort"})
"""Fields by which a document without `kind` is taken for mesh configuration."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Mesh configuration and mesh networks; both empty where the files hold none."""

    config: dict[str, Any] = field(default_factory=dict)
    networks: dict[str, Any] = field(default_factory=dict)
    networks_source: RawObject | None = None
    source: RawObject | None = None
    """The object the configuration is in."""
    given: bool = False
    """Whether the files hold mesh configuration."""

    @property
    def domain(self) -> str:
        """The DNS suffix of the cluster."""
        return text(self.config.get("clusterDomain")) or DEFAULT_DOMAIN

    @property
    def root_namespace(self) -> str:
        """The namespace whose policies hold for the whole mesh."""
        return text(self.config.get("rootNamespace")) or "istio-system"

    @property
    def proxy_metadata(self) -> dict[str, Any]:
        """`defaultConfig.proxyMetadata`."""
        return mapping(mapping(self.config.get("defaultConfig")).get("proxyMetadata"))

    @property
    def ingress_assumed(self) -> bool:
        """Whether Istio's ingress controller, and with it the stock gateway, may be taken for granted."""
        return self.config.get("ingressControllerMode") != "OFF"


def mesh_of(objects: Iterable[RawObject], bare: Iterable[RawObject]) -> Mesh:
    """The mesh configuration of the files: ConfigMap `istio`, those of revisions, else what an installation says."""
    config: dict[str, Any] = {}
    networks: dict[str, Any] = {}
    source: RawObject | None = None
    origin: RawObject | None = None
    given = False
    for one in sorted(objects, key=_weight):
        if _is_mesh_map(one):
            data = mapping(one.data.get("data"))
            if "mesh" in data:
                config, given, origin = embedded(text(data["mesh"])), True, one
            found = mapping(embedded(text(data.get("meshNetworks", ""))).get("networks"))
            if found:
                networks, source = found, one
        elif _is_installation(one):
            values = mapping(one.spec.get("values"))
            config = mapping(one.spec.get("meshConfig")) or mapping(values.get("meshConfig")) or config
            given, origin = True, one
            found = mapping(mapping(values.get("global")).get("meshNetworks"))
            if found:
                networks, source = found, one
    for one in bare:
        if is_mesh_config(one):
            config, given, origin = one.data, True, one
        elif is_mesh_networks(one):
            networks, source = mapping(one.data["networks"]), one
    return Mesh(config, networks, source, origin, given)


def _is_mesh_map(one: RawObject) -> bool:
    return one.kind == "ConfigMap" and (one.name == "istio" or one.name.startswith("istio-"))


def _is_installation(one: RawObject) -> bool:
    return one.kind == "IstioOperator" or (one.kind, one.group) == ("Istio", "sailoperator.io")


def _weight(one: RawObject) -> int:
    """What of several says it last, as in `gwsim.resources.mesh`: the map of the default revision."""
    return 2 if one.kind == "ConfigMap" and one.name == "istio" else 1 if _is_mesh_map(one) else 0


def is_mesh_config(one: RawObject) -> bool:
    """Whether a document without `kind` is mesh configuration."""
    return bool(one.data) and all(key in MESH_FIELDS for key in one.data)


def is_mesh_networks(one: RawObject) -> bool:
    """Whether a document without `kind` is a list of networks."""
    return set(one.data) == {"networks"}


def embedded(content: str) -> dict[str, Any]:
    """The first mapping of a YAML or JSON text kept inside an object; empty when it is none."""
    if content.lstrip().startswith("{"):
        try:
            return mapping(json.loads(content))
        except ValueError:
            pass
    for node in documents(prepare(content)):
        if not isinstance(node, Problem):
            return mapping(plain(node))
    return {}


__all__ = ["Mesh", "embedded", "is_mesh_config", "is_mesh_networks", "mesh_of"]
