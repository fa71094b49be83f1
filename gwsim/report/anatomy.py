"""The tail anatomy of a report: in a sentence, as a figure, as a table, with what the slow requests have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from gwsim.engine.codes import Component
from gwsim.report.flags import meaning_of
from gwsim.report.lines import clip
from gwsim.report.names import COMPONENTS, Names
from gwsim.report.style import COMPONENT_COLORS, INK, MUTED, applied, axes_for, framed
from gwsim.results.anatomy import Anatomy, Cause
from gwsim.results.contrast import Trait
from gwsim.results.parts import BackendFigures, ClusterFigures
from gwsim.results.results import Results
from gwsim.units import format_duration_s, format_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 12.4
NOTABLE = 0.002
"""A cause is listed from this share of one of the groups on."""
NAMED = 0.1
"""A cause is named in the sentence from this share of the gap on."""
ENOUGH = 0.9
"""No more causes are named once they make this much of the gap: others may shrink from the median to the tail."""
MOST = 16


@dataclass(frozen=True)
class Places:
    """What stands behind a cause: which worker, pool or backend pod is the busiest there."""

    results: Results
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", Names.of(self.results.labels))

    def of(self, cause: Cause) -> str:
        """The place in words, with how busy it is; empty where nothing can be full."""
        find: dict[Component, Callable[[str], str]] = {
            Component.WORKER_QUEUE: self._worker, Component.PROXY_CPU: self._worker, Component.THROTTLING: self._pod,
            Component.POOL_WAIT: self._pool, Component.UPSTREAM_QUEUE: self._backend, Component.UPSTREAM_SERVICE: self._backend,
            Component.CONNECTION_SETUP: self._connections, Component.RETRY_BACKOFF: self._retries,
        }
        made = find.get(cause.component)
        return made(cause.gateway) if made else ""

    @cached_property
    def _clusters(self) -> dict[str, list[ClusterFigures]]:
        """By gateway, the clusters that its requests went to."""
        by_name = {one.name: one for one in self.results.clusters}
        found: dict[str, dict[str, ClusterFigures]] = {}
        for one in self.results.classes:
            found.setdefault(one.gateway, {}).update({share.name: by_name[share.name] for share in one.clusters})
        return {gateway: list(clusters.values()) for gateway, clusters in found.items()}

    def _worker(self, gateway: str) -> str:
        own = [one for one in self.results.workers if one.gateway == gateway]
        if not own:
            return ""
        busiest = max(own, key=lambda one: one.utilisation.value or 0.0)
        return f"worker {busiest.pod}/{busiest.worker}: {format_share(busiest.utilisation.value or 0.0, 2)} busy"

    def _pod(self, gateway: str) -> str:
        limits = [one for one in self.results.bottleneck.limits if one.kind == "cpu"]
        pods = {one.pod for one in self.results.pods if one.gateway == gateway}
        worst = next((one for one in limits if one.name in pods), None)
        return f"pod {worst.name}: {format_share(worst.utilisation, 2)} of its CPU limit" if worst else ""

    def _pool(self, gateway: str) -> str:
        best: tuple[float, str] = (-1.0, "")
        for one in self._clusters.get(gateway, ()):
            bound = min((x for x in (one.limits["max_connections"], one.limits["max_requests"]) if x), default=None)
            in_use = one.in_use.value or 0.0
            level = in_use / bound if bound else 0.0
            text = f"pool to {self.names.clusters[one.name]}: {in_use:.3g}" + (f" of {bound}" if bound else "") + " in use"
            best = max(best, (level + (one.overflow.value or 0.0), text))
        return best[1]

    def _backend(self, gateway: str) -> str:
        reached = {one.name for one in self._clusters.get(gateway, ())}
        pods: dict[str, BackendFigures] = {}
        for label in self.results.labels.clusters:
            if label.name in reached:
                pods |= {self.results.backends[s].name: self.results.backends[s] for s in label.stations}
        limited = [one for one in pods.values() if one.concurrency]
        if not limited:
            return ""
        busiest = max(limited, key=lambda one: one.utilisation.value or 0.0)
        return f"pod {self.names.backends[busiest.name]}: {format_share(busiest.utilisation.value or 0.0, 2)} busy"

    def _connections(self, gateway: str) -> str:
        requests = opened = full = 0
        for one in self.results.classes:
            if one.gateway == gateway:
                counts = {share.name: share.count for share in one.handshakes}
                requests += sum(counts.values())
                opened += sum(counts.values()) - counts["none"]
                full += counts["full"]
        if not requests or not opened:
            return ""
        shaken = f", {format_share(full / requests, 2)} with a full handshake" if full else ""
        return f"{format_share(opened / requests, 2)} of requests open a connection{shaken}"

    def _retries(self, gateway: str) -> str:
        retried = max((one.gateway_retries.value or 0.0 for one in self.results.classes if one.gateway == gateway), default=0.0)
        return f"up to {format_share(retried, 2)} of attempts are retries" if retried else ""


def cause_name(cause: Cause, anatomy: Anatomy, names: Names) -> str:
    """A cause in words, with its proxy where there are several."""
    word = "network to it" if cause.component is Component.CLIENT_NETWORK and cause.depth else COMPONENTS[cause.component]
    return f"{names.gateways.get(cause.gateway, cause.gateway)}: {word}" if len(anatomy.hops) > 1 else word


def listed(anatomy: Anatomy) -> list[Cause]:
    """The causes worth a row, the largest of the p99 first."""
    shown = [one for one in anatomy.causes if any(anatomy.share(one, at) >= NOTABLE for at in range(len(anatomy.groups)))]
    return sorted(shown, key=lambda one: (-one.times_s[-1], one.gateway, one.component))[:MOST]


def sentence(results: Results) -> str:
    """What makes the tail, and where; empty without latencies."""
    made = results.anatomy
    if made is None:
        return ""
    places, names = Places(results), Names.of(results.labels)
    median, tail = made.groups[0].total_s, made.groups[-1].total_s
    gap = tail - median
    ranked = sorted(made.causes, key=lambda one: -made.gap(one))
    enough = next((n for n in range(1, len(ranked)) if sum(made.gap(one) for one in ranked[:n]) >= ENOUGH), len(ranked))
    named = [one for one in ranked[:enough] if made.gap(one) >= NAMED] or ranked[:1]
    if gap <= 0.05 * median:
        return f"The tail is hardly slower than the median: {format_duration_s(tail)} at the p99 against {format_duration_s(median)}."
    parts = [_part(one, made, names, places) for one in named]
    return (
        f"Requests around the p99 take {format_duration_s(tail)}, those around the median {format_duration_s(median)}. "
        f"Of the {format_duration_s(gap)} between them {_and(parts)}."
    )


def _part(cause: Cause, made: Anatomy, names: Names, places: Places) -> str:
    where = places.of(cause)
    return f"{format_share(min(made.gap(cause), 1.0), 2)} is {cause_name(cause, made, names)}" + (f" ({where})" if where else "")


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def trait_text(trait: Trait, names: Names) -> str:
    """A trait in words."""
    known = {"cluster": names.clusters, "backend pod": names.backends}.get(trait.kind, {})
    name = known.get(trait.name, trait.name)
    if trait.kind == "request":
        return name
    if trait.kind == "flag":
        return f"has response flag {name} ({meaning_of(name)})"
    how = {"route": "took", "client": "came from", "cluster": "went to", "backend pod": "was served by", "gateway pod": "went through", "worker": "went through"}
    return f"{how[trait.kind]} {trait.kind} {name}"


def figure(results: Results, *, ax: Axes | None = None) -> Figure:
    """The time of the median, the p95 and the p99 requests, by proxy and cause, in milliseconds."""
    made = results.anatomy
    if made is None:
        raise ValueError("no request was answered, so there is nothing to divide")
    several = len(made.hops) > 1
    with applied():
        drawn, axes = axes_for(ax, WIDTH, 2.75 if several else 1.95)
        if ax is None:
            framed(drawn, left=0.62, bottom=0.5, top=0.45 if several else 0.4, right=0.75)
        longest = max(group.total_s for group in made.groups)
        for at in range(len(made.groups)):
            _bar(axes, made, at, longest)
        if several:
            _hops(axes, made, Names.of(results.labels), longest)
        axes.set_yticks(range(len(made.groups)), [f"p{group.percent:g}" for group in made.groups])
        axes.set_xlim(0, longest * 1e3)
        axes.set_ylim(len(made.groups) - 0.6, -0.72 if several else -0.5)
        axes.grid(visible=False, axis="y")
        axes.spines[["left"]].set_visible(False)
        axes.set_xlabel("milliseconds")
        _legend(axes, made)
        return drawn


def _bar(axes: Axes, made: Anatomy, at: int, longest: float) -> None:
    left, height = 0.0, 0.66 if len(made.hops) == 1 else 0.5
    for cause in made.causes:
        width = cause.times_s[at] * 1e3
        axes.barh(at, width, left=left, height=height, color=COMPONENT_COLORS[cause.component])
        if width >= 0.045 * longest * 1e3:
            axes.text(left + width / 2, at, f"{made.share(cause, at) * 100:.0f} %", ha="center", va="center", fontsize=8, color="#11161c")
        left += width
    axes.text(left + 0.006 * longest * 1e3, at, format_duration_s(made.groups[at].total_s), va="center", fontsize=9)


def _hops(axes: Axes, made: Anatomy, names: Names, longest: float) -> None:
    """Names of the proxies above their part of each bar, and a line between two of them."""
    for at in range(len(made.groups)):
        left = 0.0
        for hop in made.hops:
            width = sum(cause.times_s[at] for cause in made.causes if cause.gateway == hop) * 1e3
            if width >= 0.07 * longest * 1e3:
                name = clip(names.gateways.get(hop, hop), max(6, int(width / (longest * 1e3) * 110)))
                axes.text(left, at - 0.29, name, fontsize=8, color=MUTED, va="bottom")
            if left:
                axes.plot([left, left], [at - 0.33, at + 0.33], color=INK, linewidth=1.2)
            left += width


def _legend(axes: Axes, made: Anatomy) -> None:
    from matplotlib.patches import Patch

    used = {cause.component for cause in listed(made)}
    handles = [Patch(facecolor=COMPONENT_COLORS[c], label=COMPONENTS[c]) for c in COMPONENTS if c in used]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(handles) if len(handles) <= 6 else (len(handles) + 1) // 2, borderaxespad=0.4, handlelength=1.1, columnspacing=1.3)


def in_words(anatomy: Anatomy, names: Names) -> str:
    """The figure for those who cannot see it."""
    texts = []
    for at, group in enumerate(anatomy.groups):
        largest = sorted(anatomy.causes, key=lambda one: -one.times_s[at])[:4]
        parts = ", ".join(f"{cause_name(one, anatomy, names)} {format_share(anatomy.share(one, at), 2)}" for one in largest)
        texts.append(f"p{group.percent:g} {format_duration_s(group.total_s)}: {parts}.")
    return " ".join(texts)


__all__ = ["Places", "cause_name", "figure", "in_words", "listed", "sentence", "trait_text"]
