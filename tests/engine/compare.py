"""Both engines on one generated model, and what differs between them first, in words."""

from __future__ import annotations

from chained import chained
from generate import generate, is_lattice

from gwsim.engine import reference
from gwsim.engine.codes import Visit
from gwsim.engine.compiled import driver
from gwsim.engine.features import COMPILED, KERNELS, Feature
from gwsim.engine.schema import RECORD_FIELDS, TRACE_FIELDS, Ints, Options, RawRun, differences
from gwsim.scenario.model import Model

ALL = Options(records=10**6, trace=10**6, digest=True, ejections=10**4)
"""Everything an engine can keep: all records and all visits."""
CONTEXT = 3
"""Equal rows shown before the first that differs."""


def compare(seed: int, replication: int = 0, kernel: str = "full") -> str:
    """Runs the model of a seed and the features of a kernel through both engines.

    Gives a description of the first difference, empty if there is none.
    """
    model = generate(seed, KERNELS[kernel])
    return describe(seed, reference.run(model, replication, ALL), driver.run(model, replication, ALL, kernel=kernel))


def chain_of(seed: int) -> Model:
    """The chain of a seed, with all that the compiled engine has."""
    return chained(seed, COMPILED, byte_streams=Feature.TCP in COMPILED)


def compare_chains(seed: int, replication: int = 0) -> str:
    """Runs the chain of a seed through both engines; a description of the first difference, empty if there is none."""
    model = chain_of(seed)
    return describe(seed, reference.run(model, replication, ALL), driver.run(model, replication, ALL))


def describe(seed: int, expected: RawRun, got: RawRun) -> str:
    """What differs between a run of the reference engine and one of the compiled engine; empty if nothing does."""
    names = differences(expected, got)
    if not names:
        return ""
    kind = "lattice" if is_lattice(seed) else "continuous"
    lines = [f"seed {seed} ({kind}): the engines differ in {', '.join(names)}"]
    if "trace" in names:
        lines += _first_row("visit", expected.trace, got.trace, TRACE_FIELDS)
    if "records" in names:
        lines += _first_row("record", expected.records, got.records, RECORD_FIELDS)
    if "trace" not in names and "records" not in names:
        lines += [_first_value(name, getattr(expected, name), getattr(got, name)) for name in names]
    return "\n".join(lines)


def _first_row(what: str, expected: Ints, got: Ints, columns: tuple[str, ...]) -> list[str]:
    """The first row of two tables that differs, with a few equal ones before it."""
    n = min(len(expected), len(got))
    unequal = (expected[:n] != got[:n]).any(axis=1)
    at = int(unequal.argmax()) if unequal.any() else n
    lines = [f"first differing {what}: number {at} of {len(expected)} (reference) and {len(got)} (compiled)"]
    lines += [f"    both       {_row(expected[i], columns)}" for i in range(max(0, at - CONTEXT), at)]
    for engine, table in (("reference", expected), ("compiled", got)):
        lines.append(f"    {engine:<10} {_row(table[at], columns) if at < len(table) else '(no more)'}")
    if at < n:
        lines.append("    differs in " + ", ".join(c for c, x, y in zip(columns, expected[at], got[at], strict=True) if x != y))
    return lines


def _row(row: Ints, columns: tuple[str, ...]) -> str:
    """A row with the names of its columns; zeros are left out of long ones."""
    named = dict(zip(columns, map(int, row), strict=True))
    if "visit" in named:
        named["visit"] = Visit(named["visit"]).name  # type: ignore[assignment]
    return " ".join(f"{name}={value}" for name, value in named.items() if value or len(columns) < 10)


def _first_value(name: str, expected: Ints | int, got: Ints | int) -> str:
    """The first element of an array that differs."""
    if isinstance(expected, int) or isinstance(got, int):
        return f"{name}: {expected} (reference), {got} (compiled)"
    if expected.shape != got.shape:
        return f"{name}: shape {expected.shape} (reference), {got.shape} (compiled)"
    at = tuple(int(i[0]) for i in (expected != got).nonzero())
    return f"{name}{list(at)}: {expected[at]} (reference), {got[at]} (compiled)"
