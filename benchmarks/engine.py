"""Speed and memory of the engines on the benchmark scenario, as one JSON object on standard output.

    python benchmarks/engine.py [--long] [--quick] [--repeats N]

Rates are per second of processor time of one core (the median of several repeats); wall-clock time stands beside. Every
measurement has a process of its own. `--long` adds the growth of memory from 1 to 50 million requests (a minute or so),
`--quick` leaves out what starts from an empty cache.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMPILED_REQUESTS, REFERENCE_REQUESTS, TWIN_REQUESTS, TWIN_MEAN_REQUESTS = 1_000_000, 20_000, 100_000, 400_000
MEMORY_REQUESTS = (1_000_000, 50_000_000)
SMALL_RUN = ("--set", "run.duration=2s", "--set", "run.warmup=200ms", "--replications", "5", "--undecided", "pass", "--quiet")


# --- measurements, each in a child process --------------------------------------------------------------------


def timed(work: Any) -> tuple[Any, float, float]:
    """What `work` gives, its processor time and its wall-clock time, seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def measure_compiled(repeats: int) -> dict[str, Any]:
    """Rates of the compiled engine, and what the scenario comes to."""
    from scenario import benchmark_model

    from gwsim.engine.codes import Counter
    from gwsim.engine.compiled import driver

    model = benchmark_model(COMPILED_REQUESTS)
    driver.run(benchmark_model(1000), 0)
    runs = [timed(lambda: driver.run(model, 0)) for _ in range(repeats)]
    raw = runs[0][0]
    cpu_s = median(cpu for _, cpu, _ in runs)
    window_s = model.run.duration_s - model.run.warmup_s
    requests = int(raw.requests[0])
    return {
        "requests_per_second": requests / cpu_s,
        "events_per_second": int(raw.events[0]) / cpu_s,
        "visits_per_second": int(raw.worker_visits.sum()) / cpu_s,
        "requests_per_second_best": requests / min(cpu for _, cpu, _ in runs),
        "requests_per_second_wall": requests / median(wall for _, _, wall in runs),
        "peak_memory_mib": peak_mib(),
        "worker_utilisation": float(raw.worker_window_cpu.sum() / 1e9 / window_s / len(raw.worker_window_cpu)),
        "mean_latency_ms": float(raw.latency_sum.sum() / raw.covered.sum() / 1e6),
        "new_connection_share": float(raw.handshakes[:, 1:].sum() / raw.finished.sum()),
        "retried_share": float(raw.cluster_counters[:, Counter.UPSTREAM_RQ_RETRY].sum() / requests),
    }


def measure_reference(repeats: int) -> dict[str, Any]:
    """Rates of the reference engine."""
    from scenario import benchmark_model

    from gwsim.engine import reference

    model = benchmark_model(REFERENCE_REQUESTS)
    runs = [timed(lambda: int(reference.run(model, 0).requests[0])) for _ in range(repeats)]
    return {
        "reference_requests_per_second": median(n / cpu for n, cpu, _ in runs),
        "reference_requests_per_second_wall": median(n / wall for n, _, wall in runs),
    }


def measure_twin(repeats: int) -> dict[str, Any]:
    """Rates of the heapq twin, and the mean latency it finds."""
    import heapq_twin

    runs = [timed(lambda: heapq_twin.run(TWIN_REQUESTS)) for _ in range(repeats)]
    long = heapq_twin.run(TWIN_MEAN_REQUESTS, seed=2)
    return {
        "heapq_twin_requests_per_second": median(twin.requests / cpu for twin, cpu, _ in runs),
        "heapq_twin_mean_latency_ms": long.latency_s / long.measured * 1e3,
    }


def measure_memory(requests: int) -> dict[str, Any]:
    """Peak memory of one process that simulates so many requests."""
    from scenario import benchmark_model

    from gwsim.engine.compiled import driver

    raw, cpu_s, _ = timed(lambda: driver.run(benchmark_model(requests), 0))
    return {"peak_mib": peak_mib(), "requests": int(raw.requests[0]), "cpu_s": cpu_s}


def measure_compile(number: int) -> dict[str, Any]:
    """Time to machine code of a kernel with an empty cache (numba's own import not counted)."""
    from gwsim.engine.cache import KERNELS
    from gwsim.engine.compiled import driver, selftest

    name = KERNELS[number]
    _, cpu_s, wall_s = timed(lambda: driver.run(selftest.smallest(), 0, kernel=name))
    return {f"compile_{name}_s": cpu_s, f"compile_{name}_s_wall": wall_s}


def peak_mib() -> float:
    """Peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if platform.system() != "Darwin" else peak / 1024**2


CHILDREN = {
    "compiled": measure_compiled, "reference": measure_reference, "twin": measure_twin, "memory": measure_memory,
    "compile": measure_compile,
}


# --- the parent -----------------------------------------------------------------------------------------------


def child(name: str, argument: int, cache: Path | None) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", name, "--repeats", str(argument)]
    done = subprocess.run(command, env=environment(cache), stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def environment(cache: Path | None) -> dict[str, str]:
    """The environment of a child, with a cache of machine code of its own."""
    return os.environ | ({"GWSIM_CACHE_DIR": str(cache)} if cache else {})


def start_to_end(cache: Path | None, repeats: int) -> tuple[float, float]:
    """What `gwsim run` takes for a small scenario: seconds from the start of the process to its end, and of processor time.

    Medians; the processor time of a compiler that is left behind is not counted.
    """
    from gwsim.scenario import write_template

    times, cpu = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder) / "project"
            write_template(project)
            command = [sys.executable, "-m", "gwsim", "run", str(project), "--out", str(Path(folder) / "out"), *SMALL_RUN]
            began = time.perf_counter()
            process = subprocess.Popen(command, env=environment(cache), stdout=subprocess.DEVNULL, start_new_session=True)
            _, status, usage = os.wait4(process.pid, 0)
            times.append(time.perf_counter() - began)
            cpu.append(usage.ru_utime + usage.ru_stime)
            process.returncode = code = os.waitstatus_to_exitcode(status)
            end_group(process.pid)
            if code not in (0, 1):
                raise SystemExit(f"gwsim run ended with {code}")
    return median(times), median(cpu)


def end_group(group: int) -> None:
    """Ends the compiler that a first run leaves behind."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def kernel_lines() -> int:
    """Lines of the functions that are compiled, docstrings not counted."""
    total = 0
    for path in sorted((ROOT / "gwsim" / "engine" / "compiled").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            names = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
            if names & {"kernel", "entry"}:
                total += (node.end_lineno or node.lineno) - node.lineno + 1
                if ast.get_docstring(node) is not None:
                    total -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
    return total


def measure(repeats: int, long: bool, quick: bool) -> dict[str, Any]:
    """Everything, in the order in which it depends on the cache."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = None if quick else Path(folder) / "warm"
        if not quick:
            figures["cold_start_s"], figures["cold_start_cpu_s"] = start_to_end(Path(folder) / "cold", 1)
            figures |= child("compile", 0, cache) | child("compile", 1, cache)
        figures |= child("compiled", repeats, cache)
        figures |= child("reference", repeats, cache)
        figures |= child("twin", repeats, cache)
        start_to_end(cache, 1)
        figures["warm_start_s"], figures["warm_start_cpu_s"] = start_to_end(cache, repeats)
        if long:
            small, large = (child("memory", n, cache) for n in MEMORY_REQUESTS)
            figures["memory_growth_mib_50m"] = large["peak_mib"] - small["peak_mib"]
            figures["peak_memory_mib_50m"] = large["peak_mib"]
            figures["requests_per_second_50m"] = large["requests"] / large["cpu_s"]
    rate = figures["requests_per_second"]
    figures["ratio_to_reference"] = rate / figures["reference_requests_per_second"]
    figures["ratio_to_heapq_twin"] = rate / figures["heapq_twin_requests_per_second"]
    figures["heapq_twin_mean_ratio"] = figures["heapq_twin_mean_latency_ms"] / figures["mean_latency_ms"]
    figures["kernel_lines"] = kernel_lines()
    figures["repeats"] = repeats
    return figures


def rounded(value: Any) -> Any:
    """Four significant digits are more than a measurement of speed has."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Measure the engines on the benchmark scenario.")
    parser.add_argument("--long", action="store_true", help="also the growth of memory to 50 million requests")
    parser.add_argument("--quick", action="store_true", help="not what starts from an empty cache")
    parser.add_argument("--repeats", type=int, default=5, help="repeats of every measurement")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(CHILDREN[given.child](given.repeats)))
        return
    figures = measure(given.repeats, given.long, given.quick)
    print(json.dumps({name: rounded(figures[name]) for name in sorted(figures)}, indent=2))


if __name__ == "__main__":
    main()
