"""The bootstrap of an Envoy that does what a proxy of the topology does, without a control plane.

What istiod would send over xDS stands in the bootstrap itself (`static`, which `envoy --mode validate` checks to
the end) or in files that Envoy watches (`files`: listeners, clusters and routes each arrive as they do from istiod).
Endpoints of EDS clusters are in files either way, so that `/config_dump?include_eds` shows them as it does on a gateway.
Source: envoyproxy/envoy api/envoy/config/bootstrap/v3/bootstrap.proto.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gwsim.envoy.certificates import KeyPair
from gwsim.errors import UsageError
from gwsim.topology import HttpConnectionManager, Proxy, to_envoy

Json = dict[str, Any]
Sources = Literal["static", "files"]

LISTENERS, CLUSTERS = "lds.json", "cds.json"


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """A bootstrap with the files it refers to by their names in `folder`."""

    folder: Path
    config: Json
    files: Mapping[str, Json] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where the bootstrap is written."""
        return self.folder / "bootstrap.json"

    def write(self) -> Path:
        """Write everything below the folder; gives the path of the bootstrap."""
        for name, content in {**self.files, self.path.name: self.config}.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return self.path


def bootstrap(
    proxy: Proxy,
    folder: Path,
    *,
    admin_port: int,
    sources: Sources = "static",
    key_pairs: Mapping[str, KeyPair] | None = None,
    istio_version: str = "",
) -> Bootstrap:
    """The bootstrap of a proxy whose endpoints have IP addresses.

    `key_pairs` holds a certificate and key for every secret the TLS contexts name (`secrets_of`). Raises UsageError
    when one is missing. What stock Envoy does not have is to be taken out before (`gwsim.envoy.stock`).
    """
    folder = folder.absolute()
    builder = _Builder(folder, sources)
    listeners = [builder.local(to_envoy.listener(one, routes=builder.routes)) for one in proxy.listeners]
    clusters = [builder.cluster(to_envoy.cluster(one), to_envoy.load_assignment(one)) for one in proxy.clusters.values()]
    config: Json = {
        "node": to_envoy.node(proxy, istio_version),
        "admin": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": admin_port}}},
        "staticResources": {"secrets": _secrets([*listeners, *clusters], key_pairs or {})},
    }
    if sources == "static":
        config["staticResources"] |= {"listeners": listeners, "clusters": clusters}
    else:
        builder.files[LISTENERS] = _response("listener", listeners)
        builder.files[CLUSTERS] = _response("cluster", clusters)
        config["dynamicResources"] = {"ldsConfig": builder.watch(LISTENERS), "cdsConfig": builder.watch(CLUSTERS)}
    return Bootstrap(folder=folder, config=config, files=builder.files)


@dataclass(slots=True)
class _Builder:
    """Puts local files in the place of the control plane."""

    folder: Path
    sources: Sources
    files: dict[str, Json] = field(default_factory=dict)

    def watch(self, name: str) -> Json:
        return {"pathConfigSource": {"path": str(self.folder / name)}, "resourceApiVersion": "V3"}

    def routes(self, manager: HttpConnectionManager) -> Json:
        configuration = to_envoy.route_configuration(manager.route_config)
        if self.sources == "static":
            return {"routeConfig": configuration}
        name = f"rds/{_file_name(manager.route_config.name)}.json"
        self.files[name] = _response("routeConfig", [configuration])
        return {"rds": {"configSource": self.watch(name), "routeConfigName": manager.route_config.name}}

    def cluster(self, cluster: Json, assignment: Json) -> Json:
        if "edsClusterConfig" in cluster:
            name = f"eds/{_file_name(cluster['name'])}.json"
            self.files[name] = _response("endpointConfig", [assignment])
            cluster["edsClusterConfig"] = {"edsConfig": self.watch(name), "serviceName": cluster["name"]}
        made: Json = self.local(cluster)
        return made

    def local(self, value: Any) -> Any:
        """The same with secrets taken from the bootstrap."""
        if isinstance(value, dict):
            return {key: self.local(inner) for key, inner in value.items() if key != "sdsConfig"}
        if isinstance(value, list):
            return [self.local(one) for one in value]
        return value


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _response(kind: str, resources: list[Json]) -> Json:
    """A DiscoveryResponse."""
    return {"versionInfo": "1", "resources": [{"@type": to_envoy.TYPES[kind], **one} for one in resources]}


# --- secrets -------------------------------------------------------------------------------------------------------


def secrets_of(resources: list[Json]) -> tuple[set[str], set[str]]:
    """Names of the secrets that listeners and clusters ask for: certificates, and authorities to check against."""
    certificates = {one["name"] for found in _values(resources, "tlsCertificateSdsSecretConfigs") for one in found}
    authorities = {one["name"] for one in _values(resources, "validationContextSdsSecretConfig")}
    return certificates, authorities


def _values(value: Any, wanted: str) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == wanted:
                yield inner
            else:
                yield from _values(inner, wanted)
    elif isinstance(value, list):
        for one in value:
            yield from _values(one, wanted)


def _secrets(resources: list[Json], key_pairs: Mapping[str, KeyPair]) -> list[Json]:
    certificates, authorities = secrets_of(resources)
    missing = sorted((certificates | authorities) - key_pairs.keys())
    if missing:
        raise UsageError(f"no certificate was given for the secrets {', '.join(missing)}")
    made: list[Json] = []
    for name in sorted(certificates):
        pair = key_pairs[name]
        made.append({
            "name": name,
            "tlsCertificate": {
                "certificateChain": {"filename": str(pair.certificate)}, "privateKey": {"filename": str(pair.key)}
            },
        })  # fmt: skip
    for name in sorted(authorities):
        made.append({"name": name, "validationContext": {"trustedCa": {"filename": str(key_pairs[name].certificate)}}})
    return made


__all__ = ["Bootstrap", "Sources", "bootstrap", "secrets_of"]
