"""Which classes, clusters, workers and backends a set of labels means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gwsim.diagnostics.nearest import did_you_mean
from gwsim.errors import UsageError
from gwsim.results.labels import ClassLabel, Labels


def classes_with(labels: Labels, wanted: Mapping[str, str]) -> tuple[int, ...]:
    """The traffic classes that have all the labels wanted (`client`, `shape`, `route`, `gateway`; empty: any).

    Requests that are made for others are meant only by their client or gateway, or by labels that no other request has.
    A gateway may be named by its last parts (`istio-ingressgateway`), and a route, where no route has that name, by
    the entry of the mix that takes it. UsageError, with the nearest name, if no class has them.
    """
    ids = tuple(i for i, label in enumerate(labels.classes) if _has(labels, label, wanted))
    roots = tuple(i for i in ids if not labels.classes[i].derived)
    if ids:
        return ids if wanted.get("client") or wanted.get("gateway") or not roots else roots
    given = {key: value for key, value in wanted.items() if value}
    for key, value in given.items():
        if not any(_has(labels, label, {key: value}) for label in labels.classes):
            raise UsageError(_unknown(key, value, _values(labels, key)))
    raise UsageError("no request has " + ", ".join(f"{key}={value!r}" for key, value in given.items()) + " together")


def _has(labels: Labels, label: ClassLabel, wanted: Mapping[str, str]) -> bool:
    gateway, route = wanted.get("gateway", ""), wanted.get("route", "")
    if gateway and gateway not in endings(label.gateway):
        return False
    if route:
        by_name = any(one.route == route for one in labels.classes)
        if (label.route if by_name else label.shape) != route:
            return False
    return all(not wanted.get(key) or getattr(label, key) == wanted[key] for key in ("client", "shape"))


def _values(labels: Labels, key: str) -> set[str]:
    values = {getattr(label, key) for label in labels.classes}
    if key == "route":
        values |= {label.shape for label in labels.classes}
    if key == "gateway":
        values = {ending for label in labels.classes for ending in endings(label.gateway)}
    return values


def endings(name: str) -> tuple[str, ...]:
    """`a/b/c` as `a/b/c`, `b/c`, `c`: the full name first."""
    parts = name.split("/")
    return tuple("/".join(parts[i:]) for i in range(len(parts)))


def clusters_with(labels: Labels, name: str) -> tuple[int, ...]:
    """The Envoy clusters of a name or host; `reviews` is short for `reviews.shop.svc.cluster.local`."""
    return _named([(one.name, one.host) for one in labels.clusters], name, "cluster")


def backends_with(labels: Labels, name: str) -> tuple[int, ...]:
    """The backend pods of a pod's or backend's name; `reviews` is short for `reviews.shop`."""
    return _named([(one.name, *endings(one.backend)) for one in labels.stations], name, "backend")


def workers_with(labels: Labels, gateway: str) -> tuple[int, ...]:
    """The workers of a gateway."""
    return _named([endings(one.gateway) for one in labels.workers], gateway, "gateway")


def _named(rows: Sequence[tuple[str, ...]], name: str, what: str) -> tuple[int, ...]:
    """Rows of which one name is `name`, or else starts with it up to a dot; all rows for an empty name."""
    exact = tuple(i for i, names in enumerate(rows) if not name or name in names)
    begun = tuple(i for i, names in enumerate(rows) if any(one.startswith(name + ".") for one in names))
    if exact or begun:
        return exact or begun
    raise UsageError(_unknown(what, name, {one for names in rows for one in names}))


def _unknown(what: str, name: str, known: set[str]) -> str:
    listed = f"there are: {', '.join(sorted(known))}" if known else "there is none"
    return f"no {what} {name!r}; {did_you_mean(name, known) or listed}"
