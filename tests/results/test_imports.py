"""What reading results must not load: it would cost every command its start-up time."""

from __future__ import annotations

import subprocess
import sys


def test_results_load_nothing_heavy() -> None:
    code = (
        "import sys, gwsim.results, gwsim.results.store, gwsim.planning; "
        "print([m for m in ('pandas', 'scipy', 'numba', 'simpy', 'matplotlib', 'multiprocessing') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_t_quantile_does_not_load_scipy_stats() -> None:
    code = "import sys; from gwsim.results.intervals import t_quantile; t_quantile(0.9, 4); print('scipy.stats' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
