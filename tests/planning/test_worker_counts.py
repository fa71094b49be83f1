"""Fleets of pods of different sizes: which is chosen, and which are told as being as good."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gwsim.planning.capacity import Need
from gwsim.planning.recommendation import Bill
from gwsim.planning.worker_counts import Alternative, ranked


def fleet(workers: int, pods: int | None, dollars: float = 0.0, p99_s: float = 0.0) -> Alternative:
    """A fleet as a search would have found it; `pods` None: none carries the load."""
    best: Any = None if pods is None else SimpleNamespace(replicas=pods, row={"client_latency_p99_s": p99_s, "busiest_worker_utilisation": 0.5})
    need = Need(load_rps=1000.0, best=best, below=None, confirmed=pods is not None)
    return Alternative(workers=workers, need=need, bill=None if pods is None else Bill(compute=dollars, cross_zone=None))


@pytest.mark.parametrize(
    ("fleets", "chosen", "best"),
    [
        # As cheap as makes no difference: the fewest pods; the smaller pods are faster, so they stay in the set.
        ([fleet(1, 8, 100.0, 0.010), fleet(2, 4, 101.0, 0.012), fleet(4, 2, 101.5, 0.014)], 4, {1, 2, 4}),
        # Two workers are slower than four, with more pods, and cost the same.
        ([fleet(1, 8, 100.0, 0.010), fleet(2, 4, 101.0, 0.012), fleet(4, 2, 101.0, 0.011)], 4, {1, 4}),
        # Clearly cheaper wins, however many pods it takes.
        ([fleet(1, 8, 100.0, 0.010), fleet(4, 2, 120.0, 0.009)], 1, {1, 4}),
        ([fleet(1, None), fleet(4, 2, 120.0, 0.009)], 4, {4}),
        ([fleet(1, None), fleet(4, None)], None, set()),
    ],
)
def test_the_cheapest_and_those_that_none_beats(fleets: list[Alternative], chosen: int | None, best: set[int]) -> None:
    found = ranked(fleets)
    assert next((one.workers for one in found if one.chosen), None) == chosen
    assert {one.workers for one in found if one.best} == best
