"""The mutations of `make mutants` (verification/mutants.py) fit the source of the compiled engine as it is now."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "verification"))

from mutants import MUTATIONS


def test_thirty_mutations_fit_the_source() -> None:
    """`make mutants` insists on all of them; who changes a line that a mutation is about moves the mutation with it."""
    fitting = [one for one in MUTATIONS if one.places == 1]
    assert len(fitting) >= 30, [one.name for one in MUTATIONS if one.places != 1]
    for one in fitting:
        compile(one.source(), str(one.path), "exec", dont_inherit=True)


def test_mutations_are_different_ones() -> None:
    assert len({(one.old, one.new) for one in MUTATIONS}) == len({one.name for one in MUTATIONS}) == len(MUTATIONS)
