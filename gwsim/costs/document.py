"""The reference page of a cost profile: every number with its unit, range, confidence and source."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.costs.profile import Cost, CostProfile

TITLES = {
    "worker": "The worker's event loop",
    "http1": "HTTP/1.1 visits",
    "http2": "HTTP/2 visits",
    "tcp": "TCP proxying",
    "body": "Bytes of body",
    "connections": "Connections",
    "tls": "TLS",
    "istio_filters": "Istio's own filters (always paid)",
    "calls": "Calls made by filters",
    "filters": "Optional filters",
    "network": "Network (not CPU)",
    "services": "Services called by filters",
    "memory": "Memory",
    "prices": "Prices",
    "kubernetes": "Kubernetes",
    "ports": "Ports",
}

_INTRODUCTION = """\
# Costs

<!-- Written by gwsim.costs.document from gwsim/costs/default.yaml. Change that file, then run
     python -m gwsim.costs.document > docs/reference/costs.md -->

Every number gwsim charges for, as shipped. Set one by its path (`worker.wakeup_us`) in a scenario, or lay a
calibration of your own machine over all of them; what is not calibrated is printed as a range.

**How CPU adds up.** A proxy worker is an event loop. Its CPU is the sum of its *visits*, plus
`worker.wakeup_us` for each wake-up from sleep, plus `worker.iteration_us` for each turn of the loop. A request
alone on its worker wakes it twice and turns the loop four times; under load both are shared, which is why CPU
per request falls as a worker gets busier. There is no other term for load.

**The visits of one proxied request.** `read` (decode, filters, routing), `write_up`, `read_up` (response,
end of stream: statistics and access log) and `write_down`. Connections add `accept`, `client_hello`,
`finished`, `close`, `up_connected` and `up_tls`; a filter's own call adds `call_write` and `call_read`.
An HTTP/2 visit costs its base once and its stream cost for each request it carries. A cost without a visit
falls in every read and write that it applies to.

**Handshakes.** `tls.handshake` is the server's whole CPU, net of the plain connection; `tls.finished` says how
much of it falls in the visit that reads the client's Finished, and the rest falls in `client_hello`. With TLS
1.3, and in every resumption, the key exchange and the signature are paid at `client_hello`; a full TLS 1.2
handshake signs there and derives its keys at `finished`. `tls.mutual_server` falls in `finished`, where the
client's certificate arrives. The measured handshakes hold the loop turns of their own visits, so up to 30 us
of a handshake are charged twice.

**Machine speed.** CPU costs (us, us_per_item, us_per_s, ns_per_byte) are for one hardware thread of a
2.4-3.0 GHz cloud x86 server and are divided by the machine's speed. Times in ms and s, memory, prices and
limits are not. Latency of a hop (`network.hop_*`) is kernel and virtual-machine time outside the worker.

**Confidence.** high: several sources within 30 %; medium: within a factor of two; low: one source, derived,
or judgement. *derived* shows its arithmetic; *split* divides a measured total; *judgement* has no measurement
behind it.

**Known misses.** At 100-300 requests a second CPU per request is 30-50 % above this model (cold caches). A
widely used sheet (Netcracker/qubership-istio, Istio 1.30.4) charges 0.35 vCPU per Gbit/s, 2.8 ns a byte,
where these costs give 0.65 ns plain and 1.45 ns with TLS on both sides: it prices large bodies through small
reads, whose extra visits are not in a cost per byte."""


def document(profile: CostProfile) -> str:
    """The profile as a Markdown page ending in a newline; the same bytes for the same profile."""
    lines = [_INTRODUCTION, ""]
    sections: dict[str, dict[str, Cost]] = {}
    for path, cost in profile.costs.items():
        sections.setdefault(path.split(".")[0], {})[path] = cost
    for name, costs in sections.items():
        lines += [f"## {TITLES.get(name, name)}", "", *_table(costs), ""]
    derived = sum(cost.derived for cost in profile.costs.values())
    lines.append(
        f"{len(profile.costs)} costs, {derived} of them derived, judged or common practice, not measured or published."
    )
    return "\n".join(lines) + "\n"


def _table(costs: dict[str, Cost]) -> Iterator[str]:
    visits = any(cost.visit for cost in costs.values())
    visit_head = " visit |" if visits else ""
    yield f"| path | value | unit | range |{visit_head} confidence | source |"
    yield "| --- | ---: | --- | --- |" + (" --- |" if visits else "") + " --- | --- |"
    for path, cost in costs.items():
        visit = f" {cost.visit or ''} |" if visits else ""
        bounds = f"{_number(cost.low)} - {_number(cost.high)}" if cost.low < cost.high else ""
        yield (
            f"| `{path}` | {_number(cost.value)} | {cost.unit} | {bounds} |{visit}"
            f" {cost.confidence} | {cost.source.replace('|', '/')} |"
        )


def _number(value: float) -> str:
    return f"{value:.10g}"


if __name__ == "__main__":
    from gwsim.costs.profile import load

    print(document(load()), end="")
