"""Both engines on the generated models of N seeds (one with all features, one without, and a chain): every record, visit and statistic must be equal to the last bit.

    python verification/equal.py 10000 [--first SEED] [--jobs N]

Prints a line of progress, and ends with exit code 1 at the first model on which the engines differ.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))

from compare import compare, compare_chains

CHUNK = 10


def check(seeds: range) -> str:
    """The first difference among these seeds, or an empty string."""
    for seed in seeds:
        difference = compare(seed) or compare(seed, kernel="lean") or compare_chains(seed)
        if difference:
            return difference
    return ""


def warm_up() -> None:
    """Compile once, before several processes would."""
    from gwsim.engine.race import compile_all

    compile_all()


def show(done: int, total: int, began: float, end: str) -> None:
    """The line of progress."""
    spent = time.monotonic() - began
    left = spent / done * (total - done)
    print(f"\r{done:,} of {total:,} models equal, {spent:,.0f} s, about {left:,.0f} s left ", end=end, file=sys.stderr, flush=True)


def main() -> int:
    """0 if all models agree, 1 at the first that does not."""
    arguments = argparse.ArgumentParser(description="Compare both engines on generated models.")
    arguments.add_argument("models", type=int, help="number of seeds")
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--jobs", type=int, default=2, help="processes")
    given = arguments.parse_args()
    warm_up()
    last = given.first + given.models
    chunks = [range(seed, min(seed + CHUNK, last)) for seed in range(given.first, last, CHUNK)]
    began, done = time.monotonic(), 0
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for chunk, difference in zip(chunks, pool.map(check, chunks), strict=True):
            if difference:
                print(f"\n{difference}")
                pool.shutdown(wait=False, cancel_futures=True)
                return 1
            done += len(chunk)
            show(done, given.models, began, "")
    show(done, given.models, began, "\n") if done else None
    print(f"{done:,} models, seeds {given.first} to {last - 1}: both engines equal to the last bit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
