"""Queueing theory on the compiled engine, to 1 % (3 % near saturation): minutes. `make verification`."""

from __future__ import annotations

import pytest
from theory import ROWS, Row


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_theory(row: Row) -> None:
    """A 99.9 % interval over replications contains the truth and is narrow."""
    wrong = row.check()
    assert not wrong, wrong
