"""An exported Envoy made to tell what it did, without changing what it does.

Every route gets a name of its own, which the access log repeats; listeners take a PROXY header, so that the addresses
and ports a request claims are those filters see; tokens are checked against a key of ours.
"""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gwsim.envoy.bootstrap import Bootstrap
from gwsim.topology import HttpConnectionManager, Listener, Route
from gwsim.topology.to_envoy.access import MISSING_KEY
from gwsim.topology.to_envoy.listeners import MANAGER_TYPE

Json = dict[str, Any]
CASE = "x-gwsim-case"
LOG, EVENTS = "access.jsonl", "outliers.jsonl"
PROXY_PROTOCOL = {
    "name": "envoy.filters.listener.proxy_protocol",
    "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"},
}
LOGGED = {
    "case": f"%REQ({CASE})%", "route": "%ROUTE_NAME%", "flags": "%RESPONSE_FLAGS%", "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%", "cluster": "%UPSTREAM_CLUSTER%",
}  # fmt: skip


@dataclass(slots=True)
class Instrumented:
    """The routes by the names they were given."""

    routes: dict[str, Route] = field(default_factory=dict)

    def name_of(self, route: Route | None) -> str:
        """The name of a route, which may be known by several."""
        return next((name for name, one in self.routes.items() if one is route), "")


def instrument(made: Bootstrap, listeners: tuple[Listener, ...], token_keys: str) -> Instrumented:
    """Change a bootstrap in place; `token_keys` is the JWKS that providers get whose keys are not missing."""
    told = Instrumented()
    config = made.config["staticResources"]["listeners"]
    for number, (one, listener) in enumerate(zip(config, listeners, strict=True)):
        filters = one.setdefault("listenerFilters", [])
        if not listener.proxy_protocol:
            filters.insert(0, PROXY_PROTOCOL)
        chains = [*listener.filter_chains, *([listener.default_chain] if listener.default_chain is not None else [])]
        texts = [*one.get("filterChains", []), *([one["defaultFilterChain"]] if "defaultFilterChain" in one else [])]
        for at, (text, chain) in enumerate(zip(texts, chains, strict=True)):
            manager = text["filters"][-1]["typedConfig"]
            manager["accessLog"] = [_access_log(made.folder)]
            if isinstance(chain.filter, HttpConnectionManager):
                assert manager["@type"].endswith(MANAGER_TYPE)
                _name_routes(manager["routeConfig"], chain.filter, f"{number}.{at}", told)
    _see_claimed_addresses(config)
    for provider in _providers(config):
        if provider.get("localJwks", {}).get("inlineString") != MISSING_KEY:
            provider.pop("remoteJwks", None)
            provider["localJwks"] = {"inlineString": token_keys}
    return told


def _see_claimed_addresses(value: Any) -> None:
    """Conditions on the direct peer look at the address that the PROXY header claims; ours all come from loopback."""
    if isinstance(value, dict):
        if "directRemoteIp" in value:
            value["remoteIp"] = value.pop("directRemoteIp")
        for one in value.values():
            _see_claimed_addresses(one)
    elif isinstance(value, list):
        for one in value:
            _see_claimed_addresses(one)


def _access_log(folder: Path) -> Json:
    return {
        "name": "envoy.access_loggers.file",
        "typedConfig": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(folder / LOG),
            "logFormat": {"jsonFormat": LOGGED},
        },
    }


def _name_routes(config: Json, manager: HttpConnectionManager, prefix: str, told: Instrumented) -> None:
    hosts = config.get("virtualHosts", [])
    for h, (text, host) in enumerate(zip(hosts, manager.route_config.virtual_hosts, strict=True)):
        for r, (written, route) in enumerate(zip(text.get("routes", []), host.routes, strict=True)):
            written["name"] = f"{prefix}.{h}.{r}"
            told.routes[written["name"]] = route


def _providers(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        if str(value.get("@type", "")).endswith("JwtAuthentication"):
            yield from value.get("providers", {}).values()
        else:
            for one in value.values():
                yield from _providers(one)
    elif isinstance(value, list):
        for one in value:
            yield from _providers(one)


def log_everything(made: Bootstrap) -> None:
    """Access log and outlier events, and nothing else."""
    for listener in made.config["staticResources"]["listeners"]:
        for chain in [*listener.get("filterChains", []), *([listener["defaultFilterChain"]] if "defaultFilterChain" in listener else [])]:
            chain["filters"][-1]["typedConfig"]["accessLog"] = [_access_log(made.folder)]
    made.config["clusterManager"] = {"outlierDetection": {"eventLogPath": str(made.folder / EVENTS)}}


def logged_flags(folder: Path, wanted: int) -> dict[str, int]:
    """How many requests have which flags, once that many are logged or a while is over."""
    deadline = time.monotonic() + 5.0
    while True:
        lines = (folder / LOG).read_text("utf-8").splitlines() if (folder / LOG).exists() else []
        if len(lines) >= wanted or time.monotonic() > deadline:
            return dict(Counter(str(json.loads(line).get("flags") or "-") for line in lines))
        time.sleep(0.05)


def outlier_events(folder: Path) -> list[Json]:
    """Ejections and returns, with their instants (`at_s`, of the epoch)."""
    path = folder / EVENTS
    made: list[Json] = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        event = json.loads(line)
        if event.get("enforced", True):
            made.append({**event, "at_s": datetime.fromisoformat(str(event["timestamp"])).timestamp()})
    return made


def read_log(folder: Path) -> dict[str, Json]:
    """The last line of each case."""
    made: dict[str, Json] = {}
    try:
        text = (folder / LOG).read_text("utf-8")
    except OSError:
        return made
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the last line may be half written
        made[str(entry.get("case"))] = entry
    return made


# --- tokens --------------------------------------------------------------------------------------------------------


class Signer:
    """Signs tokens with a key of its own."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def keys(self) -> str:
        """The JWKS."""
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "gwsim", "e": _number(numbers.e), "n": _number(numbers.n)}
        return json.dumps({"keys": [key]})

    def token(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims, valid for an hour."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        head = _text({"alg": "RS256", "kid": "gwsim", "typ": "JWT"})
        body = _text(dict(claims))
        signature = self._key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode().rstrip("=")


def _text(value: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


__all__ = ["CASE", "Instrumented", "Signer", "instrument", "log_everything", "logged_flags", "outlier_events", "read_log"]
