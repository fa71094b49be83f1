"""The mutations of `make mutants` (verification/mutants.py) fit the source of the compiled engine as it is now."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "verification"))

from mutants import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_mutation_fits_the_source(mutation: Mutation) -> None:
    """Who changes the line that a mutation is about moves the mutation with it."""
    assert compile(mutation.source(), str(mutation.path), "exec", dont_inherit=True)


def test_mutations_are_at_least_thirty_different_ones() -> None:
    assert len({(one.module, one.old, one.new) for one in MUTATIONS}) == len({one.name for one in MUTATIONS}) == len(MUTATIONS) >= 30
