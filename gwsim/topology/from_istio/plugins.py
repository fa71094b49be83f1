"""WasmPlugins and TrafficExtensions as HTTP filters, by phase.

Sources: istio/istio pilot/pkg/model/push_context.go (`WasmPluginsByListenerInfo`), pilot/pkg/model/extensions.go,
pilot/pkg/networking/core/extension/wasmplugin.go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from gwsim.resources.models import TrafficExtension, TrafficSelector, WasmPlugin
from gwsim.topology import filters as f
from gwsim.topology.from_istio.attachment import Attached, PolicyIndex, attached
from gwsim.topology.listeners import HttpFilter

Phase = Literal["", "authn", "authz", "stats"]
PHASES: dict[str, Phase] = {"UNSPECIFIED_PHASE": "", "AUTHN": "authn", "AUTHZ": "authz", "STATS": "stats"}
_FAILURE: dict[str, Literal["closed", "open", "reload"]] = {
    "FAIL_CLOSE": "closed", "FAIL_OPEN": "open", "FAIL_RELOAD": "reload"
}  # fmt: skip
Plugin = WasmPlugin | TrafficExtension
_CALL = re.compile(r"""httpCall\s*\(\s*(?:["']([^"']*)["'])?""")
_NUMBERS = re.compile(r"[,)\s](\d+)\s*(?:,\s*(true|false)\s*)?\)")


class Plugins:
    """The plugins of one workload."""

    def __init__(self, index: PolicyIndex, workload: Attached, *, client: bool = True) -> None:
        self._client = client
        found: list[Plugin] = [*attached(index.wasm, workload), *attached(index.extensions, workload)]
        self.plugins = sorted(found, key=_rank)

    def of(self, phase: Phase, port: int) -> tuple[HttpFilter, ...]:
        """HTTP filters of a phase on a listening port: higher priority first."""
        return tuple(
            http_filter(one)
            for one in self.plugins
            if PHASES[one.phase] == phase and not _is_network(one) and self._matches(one.match, port)
        )

    @property
    def network(self) -> list[Plugin]:
        """Plugins for TCP, which are not modelled."""
        return [one for one in self.plugins if _is_network(one)]

    def _matches(self, selectors: Sequence[TrafficSelector], port: int) -> bool:
        own = ("CLIENT" if self._client else "SERVER", "CLIENT_AND_SERVER", "UNDEFINED")
        return not selectors or any(
            one.mode in own and (not one.ports or any(each.number == port for each in one.ports)) for one in selectors
        )


def _rank(plugin: Plugin) -> tuple[int, str, str, str]:
    """Higher priority first, then older."""
    return (-(plugin.priority or 0), plugin.meta.creation_timestamp or "", plugin.name, plugin.namespace)


def _is_network(plugin: Plugin) -> bool:
    wasm = plugin if isinstance(plugin, WasmPlugin) else plugin.wasm
    return wasm is not None and wasm.type == "NETWORK"


def http_filter(plugin: Plugin) -> HttpFilter:
    """A plugin as a filter of the name istiod gives it."""
    name = f"{plugin.namespace}.{plugin.name}"
    if isinstance(plugin, TrafficExtension) and plugin.lua is not None:
        return HttpFilter(name=name, config=lua(plugin.lua.inline_code), origin=plugin.span)
    wasm = plugin if isinstance(plugin, WasmPlugin) else plugin.wasm
    config = f.Wasm(
        name=name,
        url=wasm.url if wasm is not None else "",
        on_failure=_FAILURE[wasm.fail_strategy] if wasm is not None else "closed",
        phase=PHASES[plugin.phase],
        priority=plugin.priority or 0,
    )
    return HttpFilter(name=name, config=config, origin=plugin.span)


def lua(source: str) -> f.Lua:
    """A script with what can be read off its text."""
    text = "\n".join(line.partition("--")[0] for line in source.split("\n"))
    calls = []
    for found in _CALL.finditer(text):
        rest = _NUMBERS.search(text, found.end())
        calls.append(
            f.LuaCall(
                cluster=found.group(1) or "",
                timeout_s=int(rest.group(1)) / 1e3 if rest else 0.0,
                asynchronous=rest is not None and rest.group(2) == "true",
            )
        )
    return f.Lua(
        source=source,
        on_request="envoy_on_request" in text,
        on_response="envoy_on_response" in text,
        reads_body=":body(" in text or ":bodyChunks(" in text,
        may_respond=":respond(" in text,
        calls=tuple(calls),
    )
