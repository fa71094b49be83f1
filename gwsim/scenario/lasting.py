"""Entries of a mix whose requests stay open (`stream`), as the model has them."""

from __future__ import annotations

from gwsim.diagnostics import Collector, code
from gwsim.scenario import file, model
from gwsim.scenario.costing import Pricing
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.shapes import Taken

PROTOCOL = {1: "websocket", 2: "grpc"}
"""By the version of HTTP; WebSockets over HTTP/2 (RFC 8441) are not modelled."""
ASSUMED = "messages of WebSockets and gRPC streams cost the gateway what bytes that are only handed on cost (tcp in the cost profile)"


def long_stream(
    client: file.Client, taken: Taken, pricing: Pricing, loaded: LoadedScenario, collector: Collector, assumptions: dict[str, None]
) -> model.LongStream | None:
    """The long stream of an entry; None if it has none, or one that cannot be (which is reported)."""
    given = taken.asked.entry.stream
    if given is None:
        return None
    usual = PROTOCOL[client.connection.http]
    kind = given.kind or usual
    text = help = None
    if taken.label.tcp:
        text, help = "this port hands bytes on (TCP) and reads no HTTP, so there are no streams in it", "leave stream out; connections are byte streams"
    elif not kind.startswith(usual):
        text = f"{kind} does not go over HTTP/{'2' if usual == 'grpc' else '1.1'}, which the client speaks"
        help = "give the client connection: {http: 1}" if kind == "websocket" else "give the client connection: {http: 2}"
    elif usual == "grpc" and given.ping is not None:
        text, help = "ping is for WebSockets: an HTTP/2 PING keeps a connection, and no stream", "give messages_up or messages_down instead"
    if text is not None:
        collector.add(code("SCENARIO_VALUE"), text, loaded.span(*taken.asked.steps, "stream"), help=help)
        return None
    assumptions[ASSUMED] = None
    clusters = [taken.asker.proxy.clusters.get(one.name) for one in taken.outcome.targets]
    return model.LongStream(
        websocket=kind == "websocket",
        duration_s=given.duration.resolved(),
        costs=pricing.messages(taken.asker.tls if taken.chain is not None and taken.chain.tls is not None else None, next(iter(clusters), None)),
        up=_messages(given.messages_up),
        down=_messages(given.messages_down),
        ping_s=given.ping,
        request_complete=kind == "grpc-server",
    )


def _messages(given: file.Messages | None) -> model.Messages | None:
    return None if given is None else model.Messages(every_s=given.every.resolved(), size=given.size.resolved())


def check_paths(built: model.Model, loaded: LoadedScenario, collector: Collector) -> None:
    """Report long streams that would go on through a further proxy, or to a backend that calls others."""
    names = list(loaded.scenario.clients)
    for c, s in (built.classes()[i] for i in built.long_classes()):
        shape = built.clients[c].mix[s]
        targets = [target.cluster for outcome in shape.outcomes() for target in outcome.targets if target.cluster >= 0]
        stations = [built.stations[i] for k in targets for i in built.clusters[k].stations]
        further = any(one.relay is not None for one in stations)
        if further or any(one.calls for one in stations):
            what = "goes on through another proxy" if further else "leads to a backend that calls others"
            text = f"client {built.clients[c].name}, {shape.name}: it {what}; WebSockets and gRPC streams are modelled through one proxy, to backends without calls"
            collector.add(code("SCENARIO_VALUE"), text, loaded.span("clients", names[c], "mix", s, "stream"), help="leave stream out, or make this scenario end at that backend")


__all__ = ["check_paths", "long_stream"]
