"""Records of a running gateway, made up with known truth."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

START = 1_777_629_600.0
ISTIO = (
    '[{t}] "{method} {path} {http}" {code} {flags} {details} - "-" {rx} {tx} {ms} {up} "203.0.113.9" "curl/8.5 (x; y)" '
    '"3c1e-id" "{host}" "10.1.2.3:8080" {cluster} 10.0.0.2:41234 10.0.0.3:8443 {remote} {sni} -'
)
CART = "outbound|80||cart.shop.svc.cluster.local"


def stamp(seconds: float) -> str:
    """As Envoy prints a start time."""
    return datetime.fromtimestamp(START + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}Z"


def line(seconds: float, **fields: Any) -> str:
    """A line of Istio's default text."""
    known: dict[str, Any] = {
        "method": "GET", "path": "/cart/7", "http": "HTTP/2", "code": 200, "flags": "-", "details": "via_upstream", "rx": 0, "tx": 900,
        "ms": 12, "up": 11, "host": "shop.example", "cluster": CART, "remote": "198.51.100.7:40001", "sni": "shop.example",
    }
    return ISTIO.format(t=stamp(seconds), **{**known, **fields})


def poisson_log(rate: float, seconds: float, *, per_connection: int = 5, connections: int = 20, seed: int = 1) -> str:
    """A log of Poisson arrivals: 70 % GET of carts, 30 % POST of checkouts; connections that carry a fixed number."""
    draw = random.Random(seed)
    lines, now, port = [], 0.0, 40_000
    open_now = [[port + i, draw.randrange(per_connection)] for i in range(connections)]
    port += connections
    while (now := now + draw.expovariate(rate)) < seconds:
        slot = draw.randrange(connections)
        if open_now[slot][1] >= per_connection:
            open_now[slot] = [port, 0]
            port += 1
        open_now[slot][1] += 1
        fields: dict[str, Any] = {"remote": f"198.51.100.7:{open_now[slot][0]}"}
        if draw.random() < 0.7:
            fields |= {"path": f"/cart/{draw.randrange(50)}?x=1", "tx": 900, "up": 11}
        else:
            fields |= {"method": "POST", "path": "/checkout", "rx": 300 + draw.randrange(100), "tx": 50, "up": 20 + draw.randrange(20)}
        lines.append(line(now, **fields))
    return "\n".join(lines) + "\n"


def matrix(*series: tuple[dict[str, str], list[tuple[float, float]]]) -> str:
    """The answer to a range query."""
    result = [{"metric": labels, "values": [[time, repr(value)] for time, value in points]} for labels, points in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})
