"""gwsim's event loop beside a measured Envoy: latency by utilisation, CPU of a request by load.

    python verification/measured.py [--requests 4000000]

Prints a table; ends with exit code 1 if a figure that has a limit is outside it. Figures without a limit are shown only:
quantiles, and the CPU at 100 and 300 requests per second, which the model is known to underestimate (cold caches).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))

from measured import CPU_US, LATENCY_MS, Comparison, cpu, latencies


def line(one: Comparison) -> str:
    """A row of the table."""
    limit = "shown only" if one.limit is None else f"within {one.limit:.0%}" if one.good else f"NOT within {one.limit:.0%}"
    return f"{one.at:>8g}  {one.what:<8}{one.value:>10.2f}{one.half_width:>8.2f}{one.measured:>10g}{one.off:>+9.1%}   {limit}"


def main() -> int:
    """0 if all figures are within their limits."""
    parser = argparse.ArgumentParser(description="The event loop beside a measured Envoy.")
    parser.add_argument("--requests", type=float, default=4_000_000, help="requests of each row")
    given = parser.parse_args()
    good = True
    print("Latency of a worker whose requests cost 1.4 ms, ms (Envoy 1.40, one worker, Poisson arrivals)")
    print(f"{'load':>8}  {'':<8}{'gwsim':>10}{'+-':>8}{'measured':>10}{'off':>9}")
    for rho in LATENCY_MS:
        for one in latencies(rho, given.requests):
            good &= one.good
            print(line(one), flush=True)
    print("\nCPU of a plain HTTP/1.1 request, us, with the shipped costs")
    print(f"{'rps':>8}  {'':<8}{'gwsim':>10}{'+-':>8}{'measured':>10}{'off':>9}")
    for rate in CPU_US:
        one = cpu(rate, given.requests / 10)
        good &= one.good
        print(line(one), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
