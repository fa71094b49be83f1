"""What Poisson arrivals hide: the same mean load with an index of dispersion of 1, 2, 5 and 20.

    python verification/burstiness.py [--json FILE]

Arrivals are Poisson with a rate that jumps between 0.7 and 2.5 times its mean (a Markov-modulated Poisson process of two
states); a sixth of the time is spent in bursts. Its index of dispersion for long counts is, with rates a and b, shares p and
1 - p of the time and mean lengths of stay s and t (W. Fischer, K. Meier-Hellstern, "The Markov-modulated Poisson process
(MMPP) cookbook", Performance Evaluation 18, 1993):

    I = 1 + 2 (a - b)^2 p (1 - p) / (mean (1/s + 1/t))

so the length of bursts sets it. One gateway pod of two workers; everything else is the example project. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import gwsim as gw
from gwsim.scenario import write_template

DISPERSIONS = (1.0, 2.0, 5.0, 20.0)
LOADS = (("50 %", 2450.0), ("70 %", 3500.0), ("85 %", 4300.0))
"""How busy the workers are, about, and the rate for it."""
BASE, PEAK, SHARE = 0.7, 2.5, 1.0 / 6.0


def arrivals(rate: float, dispersion: float) -> str:
    """The setting for Poisson arrivals, or bursts of the length that gives the index of dispersion."""
    if dispersion == 1.0:
        return f"clients.web.arrivals.poisson={rate}rps"
    mean_peak_s = (dispersion - 1.0) * (1.0 + SHARE / (1.0 - SHARE)) / (2.0 * (PEAK - BASE) ** 2 * SHARE * (1.0 - SHARE) * rate)
    mean_base_s = mean_peak_s * (1.0 - SHARE) / SHARE
    return (
        f"clients.web.arrivals.bursts={{base: {BASE * rate}rps, peak: {PEAK * rate}rps, "
        f"mean_base: {mean_base_s * 1e3}ms, mean_peak: {mean_peak_s * 1e3}ms}}"
    )


def measure(folder: Path) -> list[dict[str, Any]]:
    """A row a load and dispersion."""
    rows = []
    base = gw.load(folder).with_(
        "gateway.istio-ingressgateway.replicas=1", "run.duration=40s", "run.warmup=2s", "run.replications=5",
        "DestinationRule/shop/checkout:trafficPolicy.connectionPool.tcp.maxConnections=2000", "budgets=[]", fix_replicas=True,
    )
    for busy, rate in LOADS:
        for dispersion in DISPERSIONS:
            results = base.with_(arrivals(rate, dispersion)).run(progress=False).results
            over = results.total.gateway_overhead
            rows.append({
                "busy": busy, "rate_rps": rate, "dispersion": dispersion, "utilisation": results.fleets[0].utilisation.value,
                "requests": results.requests,
                **{name: getattr(over, name).value for name in ("mean", "p50", "p99", "p999")},
                "p99_low": over.p99.low, "p99_high": over.p99.high,
            })
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the rows there too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_template(Path(folder) / "demo")
        rows = measure(Path(folder) / "demo")
    print("| workers busy | index of dispersion | gateway overhead p50 | p99 | p99.9 |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        p99 = f"{row['p99'] * 1e3:.2f} ms ({row['p99_low'] * 1e3:.2f} to {row['p99_high'] * 1e3:.2f})"
        print(f"| {row['utilisation']:.0%} | {row['dispersion']:g} | {row['p50'] * 1e3:.2f} ms | {p99} | {row['p999'] * 1e3:.2f} ms |")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
