"""Searches for pods and for load, against oracles that say what the answer is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from gwsim.planning.capacity import carried, needed


@dataclass
class Said:
    """A try whose answer is known."""

    replicas: int
    load_rps: float
    holds: bool | None
    failing: str = "it is full"
    row: dict[str, Any] = field(default_factory=lambda: {"gateway_cpu_cores": None, "served_rps": None})


class Oracle:
    """In place of a `Prober`: holds where `rule` says so, and counts what it was asked."""

    def __init__(self, rule: Any) -> None:
        self.rule, self.tries, self.gateway = rule, {}, "g"

    def at(self, replicas: int, load: float, *, fresh: bool = False) -> Said:
        key = (replicas, load, fresh)
        self.tries[key] = Said(replicas, load, self.rule(replicas, load, fresh))
        return self.tries[key]


@pytest.mark.parametrize("each", [100.0, 333.0, 1000.0, 4000.0])
@pytest.mark.parametrize("load", [50.0, 1000.0, 3999.0, 12_000.0])
def test_the_fewest_pods_are_found(each: float, load: float) -> None:
    oracle = Oracle(lambda n, rps, _: n * each >= rps)
    need = needed(oracle, load, 1, 40)  # type: ignore[arg-type]
    right = math.ceil(load / each)
    if right > 40:
        assert need.best is None
        assert "even 40 pods" in need.notes[0]
        return
    assert need.best is not None
    assert need.best.replicas == right
    assert need.confirmed
    assert (need.below is None) == (right == 1)
    assert len(oracle.tries) <= 16


def test_more_pods_may_be_worse_and_then_all_are_tried() -> None:
    """Holds with 3 and 4 pods and from 9 on: the search must not call 9 the fewest, nor say that 5 is enough."""
    oracle = Oracle(lambda n, rps, _: 3 <= n <= 4 or n >= 9)
    need = needed(oracle, 1000.0, 1, 12)  # type: ignore[arg-type]
    assert need.best is not None
    assert need.best.replicas == 3
    assert any("not always better" in note for note in need.notes)


def test_more_pods_may_all_be_worse() -> None:
    """Holds with 2 to 4 pods only, and the search begins above: none above holds, which says nothing about those below."""
    oracle = Oracle(lambda n, rps, _: 2 <= n <= 4)
    need = needed(oracle, 1000.0, 1, 40)  # type: ignore[arg-type]
    assert need.best is not None
    assert (need.best.replicas, need.confirmed) == (2, True)
    assert any("not always better" in note for note in need.notes)


def test_what_only_held_in_the_search_is_not_the_answer() -> None:
    oracle = Oracle(lambda n, rps, fresh: n >= (5 if fresh else 4))
    need = needed(oracle, 1000.0, 1, 12)  # type: ignore[arg-type]
    assert need.best is not None
    assert (need.best.replicas, need.confirmed) == (5, True)
    assert any("fresh replications" in note for note in need.notes)


def test_an_undecided_try_does_not_hold() -> None:
    oracle = Oracle(lambda n, rps, _: True if n >= 4 else None if n == 3 else False)
    need = needed(oracle, 1000.0, 1, 12)  # type: ignore[arg-type]
    assert need.best is not None
    assert need.best.replicas == 4
    assert any("undecided" in note for note in need.notes)


@pytest.mark.parametrize("start", [10.0, 900.0, 50_000.0])
def test_the_capacity_is_an_interval_around_the_truth(start: float) -> None:
    found = carried(Oracle(lambda n, rps, _: rps <= 1234.0 * n), 3, start)  # type: ignore[arg-type]
    assert found.low_rps is not None
    assert found.high_rps is not None
    assert found.low_rps <= 3702.0 < found.high_rps
    assert found.high_rps / found.low_rps <= 1.04


def test_no_load_at_all_is_carried() -> None:
    found = carried(Oracle(lambda n, rps, _: False), 3, 1000.0)  # type: ignore[arg-type]
    assert found.low_rps is None
    assert found.limit == "it is full"
