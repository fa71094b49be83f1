"""`stream` in an entry of a mix: what the model makes of it, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.costs import load, visit_costs
from gwsim.diagnostics import Collector
from gwsim.engine.features import Feature, missing
from gwsim.errors import InputError
from gwsim.scenario import Resolved

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def resolved(name: str, *settings: str) -> Resolved:
    opened = scenario.open_project(SCENARIOS / name, set_=settings)
    return scenario.resolve(opened.loaded, opened.topology, collector=Collector())


def test_a_websocket_and_a_grpc_stream_as_the_model_has_them() -> None:
    sockets = resolved("websocket", "clients.sockets.mix[0].stream.ping=30s")
    (shape,) = sockets.model.clients[0].mix
    assert shape.long is not None and shape.long.websocket and not shape.long.request_complete
    assert (shape.long.duration_s.mean, shape.long.ping_s, shape.long.up) == (86400.0, 30.0, None)
    assert shape.long.down is not None and (shape.long.down.every_s.kind, shape.long.down.size.mean) == ("exponential", 400.0)
    assert shape.outcome.idle_timeout_s == 60.0 and shape.outcome.timeout_s == 15.0
    assert sockets.classes[0].stream == "websocket"
    assert missing(sockets.model) == (Feature.LONG_STREAMS.value,)
    priced = visit_costs(load(), tcp=True)
    assert (shape.long.costs.read_s, shape.long.costs.write_down_byte_s) == (priced.read_s, priced.write_down_byte_s)
    assert any("messages of WebSockets" in text for text in sockets.assumptions)
    quotes = resolved("grpc-streams")
    (shape,) = quotes.model.clients[0].mix
    assert shape.long is not None and not shape.long.websocket and shape.long.request_complete
    assert quotes.model.clusters[shape.outcome.targets[0].cluster].cluster.circuit_breakers.max_requests == 1024
    assert shape.outcome.idle_timeout_s == 0.0  # Istio's
    assert quotes.classes[0].stream == "grpc"


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("websocket", ("clients.sockets.connection.http=2",), "websocket does not go over HTTP/2"),
        ("websocket", ("clients.sockets.mix[0].stream.kind=grpc", "clients.sockets.mix[0].stream.ping=1s"), "ping is for WebSockets"),
        ("websocket", ("clients.sockets.mix[0].stream.kind=sse",), "cannot be 'sse'"),
        ("websocket", ("clients.sockets.mix[0].stream.duration=-1s",), "duration"),
        ("grpc-streams", ("clients.apps.connection.http=1", "clients.apps.connection.streams=1"), "grpc-server does not go over HTTP/1.1"),
        ("grpc-streams", ("clients.apps.mix[0].stream.messages_up={every: 1s, size: 1KB}",), "clients say nothing on a grpc-server stream"),
        ("grpc-streams", ("clients.apps.mix[0].stream.kind=grpc-client",), "the backend says nothing on a grpc-client stream"),
        ("tcp-gateway", ("clients.jobs.mix[0].stream={duration: 1s}",), "hands bytes on (TCP)"),
        ("egress-http", ("clients.orders.mix[0].stream={duration: 1s}",), "goes on through another proxy"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(name: str, settings: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError) as error:
        resolved(name, *settings)
    text = str(error.value)
    assert told in text, text
    assert "scenario.yaml" in text or "--set" in text
