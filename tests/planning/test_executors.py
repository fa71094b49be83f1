"""The same answers in the same order, whatever does the work."""

from __future__ import annotations

import threading
import time

import pytest

from gwsim.planning import executor


def square(x: int) -> int:
    return x * x


def slow_first(x: int) -> int:
    time.sleep(0.05 if x == 0 else 0.0)
    return x


def refuse(x: int) -> int:
    if x == 3:
        raise ValueError(f"no {x}")
    return x


@pytest.mark.parametrize(("kind", "workers"), [("threads", 1), ("threads", 2), ("threads", 4), ("processes", 2)])
def test_answers_come_in_order(kind, workers) -> None:
    with executor(kind, workers) as pool:
        assert pool.map(square, range(10)) == [x * x for x in range(10)]
        assert pool.map(square, []) == []


def test_done_is_told_as_answers_come_and_the_order_stays() -> None:
    told: list[int] = []
    with executor("threads", 2) as pool:
        assert pool.map(slow_first, range(4), told.append) == [0, 1, 2, 3]
    assert sorted(told) == [0, 1, 2, 3]
    assert told[-1] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_is_raised(workers: int) -> None:
    with executor("threads", workers) as pool, pytest.raises(ValueError, match="no 3"):
        pool.map(refuse, range(100))


def test_one_worker_starts_no_thread() -> None:
    with executor("threads", 1) as pool:
        assert pool.map(lambda _: threading.current_thread(), [0]) == [threading.main_thread()]


def test_less_than_one_worker_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one worker"), executor("threads", 0):
        pass
