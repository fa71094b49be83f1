"""The answer to `gwsim route`: the way of one request and why, as text for ten seconds of reading, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gwsim.diagnostics import Span
from gwsim.queries.ask import Answer
from gwsim.report.lines import EMPTY, Line, Part, clip, line
from gwsim.report.route_tests import step_plain
from gwsim.topology import Decision, Outcome
from gwsim.topology.upstream import Cluster, Endpoint

SCHEMA = "gwsim/route/v1"
INDENT = 11
MOST = 5
_BAD = "bold red"
_WAY = (
    ("listener", "listener"), ("filter_chain", "chain"), ("tls", "tls"), ("virtual_host", "host"), ("route", "route"), ("filter", "filter"),
)  # fmt: skip
_HEADLINES = {
    Outcome.FORWARD: "forwarded",
    Outcome.PASSTHROUGH: "passed through, as the mesh does not know the destination",
    Outcome.FAULT_ABORT: "aborted by a fault put in on purpose",
    Outcome.NOT_FOUND: "not found: no virtual host or no route",
    Outcome.DENIED: "denied",
    Outcome.ERROR: "cannot be served",
    Outcome.TIMEOUT: "times out",
    Outcome.MISDIRECTED: "misdirected",
    Outcome.CONNECTION_REJECTED: "the connection is rejected",
    Outcome.NO_LISTENER: "connection refused: nothing listens",
    Outcome.BLACKHOLE: "refused, as the mesh does not know the destination",
    Outcome.DIRECT_RESPONSE: "answered by the gateway",
    Outcome.REDIRECT: "redirected",
}


def text(answer: Answer, *, everything: bool = False) -> list[Line]:
    """The answer first, then the way to it, then what was tried. `everything`: no list is cut."""
    most = 10_000 if everything else MOST
    lines = [line(Part(_asked(answer), "bold")), EMPTY]
    lines += _headline(answer)
    lines += _ports(answer)
    lines += _way(answer.decision)
    lines += _endpoints(answer, most)
    lines += _changes(answer)
    lines += _tried(answer.decision, most)
    for note in answer.notes:
        lines.append(line(Part("note".ljust(INDENT), "dim"), note))
    return lines


def _asked(answer: Answer) -> str:
    request, proxy = answer.request, answer.proxy
    at = f"{proxy.kind} {proxy.cluster + '/' if proxy.cluster else ''}{proxy.key}"
    if request.scheme in ("tcp", "tls"):
        what = f"{request.scheme.upper()} connection" + (f" with SNI {request.sni}" if request.sni else "")
    else:
        what = f"{request.method} {request.scheme}://{request.host or '(no host)'}{request.path}"
    return f"{what}  at {at}, port {answer.ports.dialled} (Istio {answer.istio_version})"


def _row(label: str, body: str, style: str = "") -> Line:
    return line(Part(label.ljust(INDENT), "bold"), Part(body, style))


def _headline(answer: Answer) -> list[Line]:
    decision, actual = answer.decision, answer.actual
    status = f"{decision.status}" if decision.status else ""
    flags = f" {','.join(decision.flags)}" if decision.flags else ""
    style = "bold green" if answer.served else _BAD
    head = _HEADLINES[decision.outcome]
    if decision.outcome is Outcome.REDIRECT:
        head += f" to {decision.redirect}"
    if status:
        head += f" ({status}{flags})"
    elif flags:
        head += f" ({flags.strip()})"
    lines = [_row("ANSWER", head, style)]
    for one in actual.get("backends", ()):
        subset = f" subset {one['subset']}" if one.get("subset") else ""
        lines.append(_row("", f"{one['weight']:g} %  {one['host']}:{one.get('port', '')}{subset}"))
    if decision.reason:
        lines.append(_row("", decision.reason))
    told = _settings(decision, actual)
    return [*lines, *([_row("", told)] if told else [])]


def _settings(decision: Decision, actual: Any) -> str:
    if decision.outcome not in (Outcome.FORWARD, Outcome.TIMEOUT, Outcome.ERROR) or decision.rule is None:
        return ""
    told = ["no timeout" if not decision.timeout_s else f"timeout {actual['timeout']}"]
    retry = decision.retry_policy
    if retry is None or not retry.num_retries:
        told.append("no retries")
    else:
        told.append(f"{retry.num_retries} retries on {','.join(retry.retry_on)}")
    if decision.fault_delay is not None:
        told.append(f"{decision.fault_delay.percent:g} % delayed by {actual['fault_delay']}")
    if decision.fault_abort is not None:
        told.append(f"{decision.fault_abort.percent:g} % aborted with {decision.fault_abort.status or decision.fault_abort.grpc_status}")
    if decision.hash_policy:
        told.append("hash of " + ", ".join(f"{one.kind} {one.name}".strip() for one in decision.hash_policy))
    told += [f"{one['percent']:g} % mirrored to {one['host']}:{one.get('port', '')}" for one in actual.get("mirrors", ())]
    return "; ".join(told)


def _ports(answer: Answer) -> list[Line]:
    ports = answer.ports
    if answer.proxy.kind == "sidecar":
        return []
    parts = []
    if ports.service is not None:
        parts.append(f"{ports.dialled} of Service {ports.service.namespace}/{ports.service.name}")
    else:
        parts.append(f"{ports.dialled}")
    if ports.declared:
        parts.append(f"declared {', '.join(str(one) for one in ports.declared)}")
    parts.append(f"listening {ports.listening}")
    return [_row("port", " → ".join(parts))]


def _way(decision: Decision) -> list[Line]:
    chosen = [
        (label, step)
        for kind, label in _WAY
        for step in decision.steps
        if step.kind == kind and (step.taken or kind == "tls")
    ]
    return _columns([(label, step.name, _at(step.span), step.why) for label, step in chosen])


def _columns(rows: Sequence[tuple[str, str, str, str]]) -> list[Line]:
    """Label, name, place and reason, each under the one above."""
    names = [clip(name, 48) for _, name, _, _ in rows]
    name_width = max((len(one) for one in names), default=0)
    place_width = max((len(place) for _, _, place, _ in rows), default=0)
    return [
        line(
            Part(label.ljust(INDENT), "bold"), name.ljust(name_width), Part(f"  {place.ljust(place_width)}", "cyan"), Part(f"  {why}", "dim")
        )
        for name, (label, _, place, why) in zip(names, rows, strict=True)
    ]


def _at(span: Span | None) -> str:
    return f"{span.file}:{span.line}" if span is not None else ""


def _endpoints(answer: Answer, most: int) -> list[Line]:
    lines: list[Line] = []
    for one in answer.decision.clusters:
        cluster = answer.proxy.clusters.get(one.cluster)
        origin = cluster.origin if cluster is not None else None
        told = _cluster(cluster) if cluster is not None else "the gateway has no such cluster"
        lines.append(
            line(Part("cluster".ljust(INDENT), "bold"), one.cluster, Part(f"  {_at(origin)}", "cyan"), Part(f"  {told}", "dim"))
        )
        if cluster is not None:
            lines += [_row("", f"{_endpoint(end)}") for end in cluster.endpoints[:most]]
            if len(cluster.endpoints) > most:
                lines.append(_row("", f"... and {len(cluster.endpoints) - most} more (--all lists them)"))
    return lines


def _cluster(cluster: Cluster) -> str:
    told = [cluster.lb_policy.value, f"{len(cluster.endpoints)} endpoint{'' if len(cluster.endpoints) == 1 else 's'}"]
    if cluster.tls is not None:
        told.append(f"TLS {cluster.tls.mode}" + (f" SNI {cluster.tls.sni}" if cluster.tls.sni else ""))
    if cluster.tunnel is not None:
        told.append(f"tunnel {cluster.tunnel.method} {cluster.tunnel.host}:{cluster.tunnel.port}")
    return ", ".join(told)


def _endpoint(end: Endpoint) -> str:
    zone = "/".join(part for part in (end.locality.region, end.locality.zone) if part)
    extra = [part for part in (zone, f"weight {end.weight}" if end.weight != 1 else "", "mTLS" if end.mtls else "plaintext", end.cluster) if part]
    return f"{end.address}:{end.port}  ({', '.join(extra)})"


def _changes(answer: Answer) -> list[Line]:
    actual, lines = answer.actual, []
    original = {name.lower(): value for name, value in answer.request.headers.items()}
    rewrite = actual.get("rewrite", {})
    if rewrite:
        lines.append(_row("rewrite", ", ".join(f"{name} {value}" for name, value in rewrite.items())))
    sent = {name: value for name, value in actual.get("request_headers", {}).items() if original.get(name) != value and name != "host"}
    told = [f"{name}: {value}" for name, value in sent.items()] + [f"-{name}" for name in actual.get("absent_request_headers", ())]
    if told:
        lines.append(_row("to backend", ", ".join(told)))
    told = [f"{name}: {value}" for name, value in actual.get("response_headers", {}).items()]
    told += [f"-{name}" for name in actual.get("absent_response_headers", ())]
    if told:
        lines.append(_row("to client", ", ".join(told)))
    if actual.get("body"):
        lines.append(_row("body", clip(actual["body"], 80)))
    return lines


def _tried(decision: Decision, most: int) -> list[Line]:
    """Rules, chains and filters that were looked at and not taken."""
    tried = [one for one in decision.steps if not one.taken and one.kind not in ("tls", "cluster")]
    if not tried:
        return []
    shown = tried if len(tried) <= most else [*tried[: most - 2], *tried[-2:]]
    rows = [
        ("not taken" if at == 0 else "", f"{step.kind.replace('_', ' ')} {step.name}".rstrip(), _at(step.span), step.why)
        for at, step in enumerate(shown)
    ]
    lines = _columns(rows)
    if len(shown) < len(tried):
        lines.insert(most - 2, _row("", f"... {len(tried) - len(shown)} more (--all lists them)"))
    return lines


def as_plain(answer: Answer) -> dict[str, Any]:
    """The answer as data. Fields: docs/route.md."""
    ports, request = answer.ports, answer.request
    named = {one.cluster: answer.proxy.clusters.get(one.cluster) for one in answer.decision.clusters}
    return {
        "request": {
            "scheme": request.scheme, "host": request.host, "method": request.method, "path": request.path,
            "headers": dict(request.headers), "sni": request.sni, "destination": request.destination,
        },
        "proxy": {
            "kind": answer.proxy.kind, "namespace": answer.proxy.namespace, "name": answer.proxy.name, "cluster": answer.proxy.cluster,
        },
        "port": {
            "dialled": ports.dialled, "listening": ports.listening, "declared": list(ports.declared),
            "service": f"{ports.service.namespace}/{ports.service.name}" if ports.service is not None else None,
        },
        "answer": dict(answer.actual),
        "steps": [step_plain(one) for one in answer.decision.steps],
        "clusters": [_cluster_plain(name, cluster) for name, cluster in named.items()],
        "notes": list(answer.notes),
    }  # fmt: skip


def _cluster_plain(name: str, cluster: Cluster | None) -> dict[str, Any]:
    if cluster is None:
        return {"name": name, "exists": False, "endpoints": []}
    ends = [
        {"address": one.address, "port": one.port, "weight": one.weight, "region": one.locality.region, "zone": one.locality.zone,
         "workload": one.workload, "pod": one.pod, "mtls": one.mtls, "healthy": one.healthy}
        for one in cluster.endpoints
    ]  # fmt: skip
    tunnel = {} if cluster.tunnel is None else {"tunnel": {"method": cluster.tunnel.method, "host": cluster.tunnel.host, "port": cluster.tunnel.port}}
    return {"name": name, "exists": True, "lb_policy": cluster.lb_policy.value, "endpoints": ends, **tunnel}


def as_json(answer: Answer, hops: Sequence[Answer] = ()) -> str:
    """The answer as JSON; `hops` are the proxies after it, in order."""
    made = {"schema": SCHEMA, **as_plain(answer)}
    if hops:
        made["hops"] = [as_plain(one) for one in hops]
    return json.dumps(made, indent=1, ensure_ascii=False, default=str) + "\n"


__all__ = ["SCHEMA", "as_json", "as_plain", "text"]
