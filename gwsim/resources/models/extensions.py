"""extensions.istio.io WasmPlugin and TrafficExtension, networking.istio.io EnvoyFilter and ProxyConfig.

Sources modelled: istio/api extensions/v1alpha1/{wasm,traffic_extension}.proto,
networking/v1alpha3/envoy_filter.proto, networking/v1beta1/proxy_config.proto, 1.30.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gwsim.resources.models.base import Labels, Natural, Opaque, Resource
from gwsim.resources.models.mesh import MatchLabels
from gwsim.resources.models.policy import Policy, TargetRef, TrafficSelector

PluginPhase = Literal["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"]
FailStrategy = Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VmEnv:
    """An environment variable of the plugin's VM."""

    name: str
    value_from: Literal["INLINE", "HOST"] = "INLINE"
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VmConfig:
    """Settings of the plugin's VM."""

    env: tuple[VmEnv, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WasmPlugin(Policy):
    """A WebAssembly filter. Of one phase, those of higher `priority` come first."""

    url: str = ""
    sha256: str = ""
    image_pull_policy: Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"] = "UNSPECIFIED_POLICY"
    image_pull_secret: str = ""
    verification_key: str = ""
    plugin_config: Opaque | None = None
    plugin_name: str = ""
    phase: PluginPhase = "UNSPECIFIED_PHASE"
    priority: int | None = None
    vm_config: VmConfig | None = None
    match: tuple[TrafficSelector, ...] = ()
    fail_strategy: FailStrategy = "FAIL_CLOSE"
    type: Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"] = "UNSPECIFIED_PLUGIN_TYPE"


@dataclass(frozen=True, slots=True, kw_only=True)
class WasmExtension:
    """The WebAssembly part of a TrafficExtension."""

    url: str = ""
    sha256: str = ""
    image_pull_policy: Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"] = "UNSPECIFIED_POLICY"
    image_pull_secret: str = ""
    verification_key: str = ""
    plugin_config: Opaque | None = None
    plugin_name: str = ""
    vm_config: VmConfig | None = None
    fail_strategy: FailStrategy = "FAIL_CLOSE"
    type: Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"] = "UNSPECIFIED_PLUGIN_TYPE"


@dataclass(frozen=True, slots=True, kw_only=True)
class LuaExtension:
    """The Lua part of a TrafficExtension."""

    inline_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrafficExtension(Policy):
    """A WebAssembly or Lua filter (from 1.30)."""

    phase: PluginPhase = "UNSPECIFIED_PHASE"
    priority: int | None = None
    match: tuple[TrafficSelector, ...] = ()
    wasm: WasmExtension | None = None
    lua: LuaExtension | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyImage:
    """Kind of the proxy's image."""

    image_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProxyConfig(Resource):
    """Settings a proxy is started with. `concurrency` 0 is one worker per core."""

    selector: MatchLabels | None = None
    concurrency: Natural | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    image: ProxyImage | None = None


PatchTarget = Literal[
    "INVALID", "LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "ROUTE_CONFIGURATION", "VIRTUAL_HOST",
    "HTTP_ROUTE", "CLUSTER", "EXTENSION_CONFIG", "BOOTSTRAP", "LISTENER_FILTER"
]  # fmt: skip
PatchContext = Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"]
PatchOperation = Literal[
    "INVALID", "MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE"
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedSubFilter:
    """An HTTP filter by name."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedFilter:
    """A network filter by name."""

    name: str = ""
    sub_filter: PatchedSubFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedChain:
    """Filter chains that a patch is for."""

    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    filter: PatchedFilter | None = None
    destination_port: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedListener:
    """Listeners that a patch is for; `port_number` is the port listened on."""

    port_number: Natural | None = None
    port_name: str = ""
    filter_chain: PatchedChain | None = None
    listener_filter: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedRoute:
    """Routes that a patch is for."""

    name: str = ""
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] = "ANY"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedVirtualHost:
    """Virtual hosts that a patch is for, by their name in Envoy (`host:port`)."""

    name: str = ""
    domain_name: str = ""
    route: PatchedRoute | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedRoutes:
    """Route configurations that a patch is for; `port_number` is the port a Gateway declares."""

    port_number: Natural | None = None
    port_name: str = ""
    gateway: str = ""
    vhost: PatchedVirtualHost | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedCluster:
    """Clusters that a patch is for."""

    port_number: Natural | None = None
    service: str = ""
    subset: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedProxy:
    """Proxies that a patch is for."""

    proxy_version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMatch:
    """Where a patch applies."""

    context: PatchContext = "ANY"
    proxy: PatchedProxy | None = None
    listener: PatchedListener | None = None
    route_configuration: PatchedRoutes | None = None
    cluster: PatchedCluster | None = None
    waypoint: Opaque | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What a patch does. `value` is Envoy configuration in JSON form."""

    operation: PatchOperation = "INVALID"
    value: Opaque | None = None
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigPatch:
    """One change of the generated configuration."""

    apply_to: PatchTarget = "INVALID"
    match: PatchMatch = field(default_factory=PatchMatch)
    patch: Patch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSelector:
    """Pods by label, as EnvoyFilter writes it."""

    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnvoyFilter(Resource):
    """Patches of the generated Envoy configuration."""

    workload_selector: FilterSelector | None = None
    target_refs: tuple[TargetRef, ...] = ()
    config_patches: tuple[ConfigPatch, ...] = ()
    priority: int = 0
