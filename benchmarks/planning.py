"""How long questions take: a sweep of 100 points of a million requests each, and a plan over a decade of load. One JSON object.

    python benchmarks/planning.py [--points 100] [--requests 1000000] [--jobs N]

The targets, on two cores with nothing else running: the sweep in 180 s, the plan in 60 s. Fewer `--points` measure a part;
the figures are then those of the part, and `requests_per_s` is what to compare. On a busy machine compare `cpu_s`, processor time of
all threads: two idle cores take half as long.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gwsim as gw
from gwsim.scenario import write_template

LOW_RPS, HIGH_RPS = 1000.0, 6000.0
TARGET_SWEEP_S, TARGET_PLAN_S = 180.0, 60.0


def swept(folder: Path, points: int, requests: int, jobs: int) -> dict[str, Any]:
    """A sweep of load, so long that a point has so many requests on average."""
    replications = 2
    duration_s = requests / ((LOW_RPS + HIGH_RPS) / 2.0) / replications
    scenario = gw.load(folder).with_(
        "budgets=[]", "run.warmup=1s", f"run.replications={replications}", f"run.duration={duration_s:.3f}s",
        "gateway.istio-ingressgateway.replicas=5", fix_replicas=True,
    )
    began, cpu = time.perf_counter(), time.process_time()
    frame = replace(scenario, jobs=jobs).sweep(f"clients.web.arrivals.poisson={LOW_RPS:g}rps..{HIGH_RPS:g}rps:{points}", progress=False).frame
    took, done = time.perf_counter() - began, int(frame.requests.sum())
    return {"points": points, "requests": done, "seconds": round(took, 1), "cpu_s": round(time.process_time() - cpu, 1), "requests_per_s": round(done / took), "target_s": TARGET_SWEEP_S * points / 100}


def planned(folder: Path, jobs: int) -> dict[str, Any]:
    """The fewest pods from 1,000 to 10,000 rps at five loads."""
    scenario = replace(gw.load(folder).with_("run.duration=8s", "run.replications=4", "Deployment/shop/checkout-v1:spec.replicas=8", "Deployment/shop/checkout-v2:spec.replicas=2"), jobs=jobs)
    began, cpu = time.perf_counter(), time.process_time()
    made = scenario.plan(
        load="1krps..10krps:5", budgets=["gateway.overhead p(95) < 5ms", "errors rate < 0.1%", "gateway.cpu mean < 60%"], headroom=False, progress=False
    )
    return {
        "loads": len(made.data.steps), "tries": made.data.tries, "feasible": made.data.feasible, "seconds": round(time.perf_counter() - began, 1), "cpu_s": round(time.process_time() - cpu, 1), "target_s": TARGET_PLAN_S,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_template(Path(folder) / "demo")
        demo = Path(folder) / "demo"
        gw.load(demo).with_("run.duration=1s", "run.replications=2").run(progress=False)  # machine code is loaded before the clock starts
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        print(json.dumps({"plan": planned(demo, given.jobs), "sweep": swept(demo, given.points, given.requests, given.jobs), "cores": os.cpu_count(), "load_average_before": load}, indent=1))


if __name__ == "__main__":
    main()
