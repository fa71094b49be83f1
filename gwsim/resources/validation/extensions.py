"""Plugins, EnvoyFilters and ProxyConfigs that Istio's webhook refuses.

Source modelled: istio pkg/config/validation (`ValidateWasmPlugin`, `ValidateTrafficExtension`, `validateEnvoyFilter`,
`ValidateProxyConfig`), 1.30.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from gwsim.resources.models.extensions import (
    ConfigPatch,
    EnvoyFilter,
    PatchTarget,
    ProxyConfig,
    TrafficExtension,
    WasmExtension,
    WasmPlugin,
)
from gwsim.resources.models.policy import TrafficSelector
from gwsim.resources.validation.check import Check
from gwsim.resources.validation.policy import check_attachment, check_labels, check_target

MAX_LUA_BYTES = 65536
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCHEMES = ("", "file", "http", "https", "oci")
_LISTENER_TARGETS: tuple[PatchTarget, ...] = (
    "LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "LISTENER_FILTER", "EXTENSION_CONFIG"
)  # fmt: skip
_ROUTE_TARGETS: tuple[PatchTarget, ...] = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")


def check_wasm_plugin(plugin: WasmPlugin, check: Check) -> None:
    """Report what would be refused about a WasmPlugin."""
    check_attachment(plugin, check)
    _wasm(plugin, "", check)
    _match(plugin.match, check)


def check_traffic_extension(extension: TrafficExtension, check: Check) -> None:
    """Report what would be refused about a TrafficExtension."""
    check_attachment(extension, check)
    _match(extension.match, check)
    if extension.wasm is not None and extension.lua is not None:
        check.conflict("lua", "wasm and lua exclude each other")
    elif extension.wasm is not None:
        _wasm(extension.wasm, "wasm.", check)
    elif extension.lua is None:
        check.missing("", "a TrafficExtension needs wasm or lua")
    elif not extension.lua.inline_code.strip():
        check.missing("lua.inlineCode", "the script is empty")
    elif len(extension.lua.inline_code.encode()) > MAX_LUA_BYTES:
        check.bad("lua.inlineCode", f"the script is longer than {MAX_LUA_BYTES} bytes")


def _wasm(wasm: WasmPlugin | WasmExtension, path: str, check: Check) -> None:
    url = wasm.url
    if not url:
        check.missing(f"{path}url", "url is missing: where the module is fetched from")
    elif "://" in url and urlsplit(url).scheme not in _SCHEMES:
        check.bad(f"{path}url", f"{url!r} is no place to fetch from", "write an oci://, https://, http:// or file:// URL")
    if wasm.sha256 and not _SHA256.fullmatch(wasm.sha256):
        check.bad(f"{path}sha256", "sha256 is not 64 hexadecimal digits in lower case")
    if len(wasm.image_pull_secret) > 253:
        check.bad(f"{path}imagePullSecret", "the name of a Secret is at most 253 characters long")
    names: set[str] = set()
    for index, env in enumerate(wasm.vm_config.env if wasm.vm_config else ()):
        where = f"{path}vmConfig.env[{index}]"
        if not env.name:
            check.missing(f"{where}.name", "an environment variable needs a name")
        elif env.name in names:
            check.bad(f"{where}.name", f"{env.name} is given twice")
        if env.value_from == "HOST" and env.value:
            check.conflict(f"{where}.value", "a value does not go with valueFrom HOST")
        names.add(env.name)


def _match(selectors: tuple[TrafficSelector, ...], check: Check) -> None:
    for index, selector in enumerate(selectors):
        numbers = [port.number for port in selector.ports]
        for position, number in enumerate(numbers):
            where = f"match[{index}].ports[{position}].number"
            if not 1 <= number <= 65535:
                check.bad(where, f"port {number} does not exist; ports are 1 to 65535")
            elif number in numbers[:position]:
                check.bad(where, f"port {number} is given twice")


def check_proxy_config(config: ProxyConfig, check: Check) -> None:
    """Report what would be refused about a ProxyConfig."""
    if config.selector is not None:
        check_labels(config.selector.match_labels, "selector.matchLabels", check)
    image = config.image.image_type if config.image else ""
    if image not in ("", "default", "debug", "distroless"):
        check.warn("image.imageType", f"{image!r} is none of Istio's image types (default, debug, distroless)")


def check_envoy_filter(filter: EnvoyFilter, check: Check) -> None:
    """Report what would be refused about an EnvoyFilter."""
    if filter.workload_selector is not None:
        check_labels(filter.workload_selector.labels, "workloadSelector.labels", check)
        if filter.target_refs:
            check.conflict("targetRefs", "workloadSelector and targetRefs exclude each other")
        if not filter.workload_selector.labels:
            check.warn("workloadSelector", "the selector has no labels, so it selects the whole namespace")
    for index, ref in enumerate(filter.target_refs):
        check_target(ref, f"targetRefs[{index}]", check)
    for index, patch in enumerate(filter.config_patches):
        _patch(patch, f"configPatches[{index}]", check)


def _patch(config: ConfigPatch, path: str, check: Check) -> None:
    if config.apply_to == "INVALID":
        check.missing(f"{path}.applyTo", "applyTo is missing: what kind of thing is patched")
        return
    patch = config.patch
    if patch is None:
        check.missing(f"{path}.patch", "patch is missing: what is done")
        return
    if patch.operation == "INVALID":
        check.missing(f"{path}.patch.operation", "operation is missing: how the patch is applied")
        return
    if patch.operation != "REMOVE" and patch.value is None:
        check.missing(f"{path}.patch.value", f"operation {patch.operation} needs a value")
    if patch.value is not None and not isinstance(patch.value, dict):
        check.bad(f"{path}.patch.value", "value is Envoy configuration: a mapping")
    _operation(config, path, check)
    _match_of(config, path, check)


def _operation(config: ConfigPatch, path: str, check: Check) -> None:
    target, operation = config.apply_to, config.patch.operation if config.patch else "INVALID"
    if operation in ("INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST") and target not in (
        "NETWORK_FILTER", "HTTP_FILTER", "HTTP_ROUTE", "LISTENER_FILTER"
    ):  # fmt: skip
        check.warn(f"{path}.patch.operation", f"{operation} does nothing on {target}", "use ADD or MERGE")
    if operation == "REPLACE" and target not in ("NETWORK_FILTER", "HTTP_FILTER", "LISTENER_FILTER", "VIRTUAL_HOST"):
        check.warn(f"{path}.patch.operation", f"REPLACE does nothing on {target}")


def _match_of(config: ConfigPatch, path: str, check: Check) -> None:
    """Each target has its own kind of match; Istio's API has them as a oneof."""
    match = config.match
    given = {"listener": match.listener, "routeConfiguration": match.route_configuration, "cluster": match.cluster}
    check.at_most_one(f"{path}.match", given)
    target = config.apply_to
    if match.proxy is not None and match.proxy.proxy_version:
        check.regex(f"{path}.match.proxy.proxyVersion", match.proxy.proxy_version)
    expected = {"listener": _LISTENER_TARGETS, "routeConfiguration": _ROUTE_TARGETS, "cluster": ("CLUSTER",)}
    for name, value in given.items():
        if value is not None and target not in expected[name]:
            check.conflict(f"{path}.match.{name}", f"a match by {name} does not go with applyTo {target}")
    listener = match.listener
    if listener is None or listener.filter_chain is None or listener.filter_chain.filter is None:
        return
    chain_filter, where = listener.filter_chain.filter, f"{path}.match.listener.filterChain.filter"
    if not chain_filter.name:
        check.missing(f"{where}.name", "a match by filter needs its name")
        return
    if target in ("LISTENER", "FILTER_CHAIN"):
        check.warn(where, f"a match by filter has no effect with applyTo {target}")
    if chain_filter.sub_filter is None:
        return
    if target != "HTTP_FILTER":
        check.conflict(f"{where}.subFilter", f"a match by sub-filter goes with applyTo HTTP_FILTER only, not with {target}")
    elif chain_filter.name not in ("envoy.filters.network.http_connection_manager", "envoy.http_connection_manager"):
        check.conflict(f"{where}.subFilter", f"only the HTTP connection manager has sub-filters, {chain_filter.name} has none")
    elif not chain_filter.sub_filter.name:
        check.missing(f"{where}.subFilter.name", "a match by sub-filter needs its name")
