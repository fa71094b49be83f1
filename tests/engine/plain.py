"""The compiled engine's sources run by Python itself, without numba: for finding faults and for mutants.

Only with NUMBA_DISABLE_JIT=1 in the environment. Slow as Python is, but nothing is compiled. Records become objects made
when first touched, so no array is ever full.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import numpy as np

import gwsim.engine.compiled as package
from gwsim.engine import draws
from gwsim.engine.schema import Options, RawRun
from gwsim.scenario.model import Model

MANY = 1 << 40
MASK = 0xFFFFFFFFFFFFFFFF
COUNTS = ("class_out", "worker_out", "station_out", "port_out", "bins")


class Vector(list[int]):
    """A field of several integers."""

    @property
    def shape(self) -> tuple[int]:
        return (len(self),)


class Record:
    """One record with attributes for fields."""

    names: tuple[str, ...]

    def __init__(self, zero: Any) -> None:
        for name in self.names:
            value = zero[name]
            setattr(self, name, Vector(value.tolist()) if value.shape else value.item())

    def copy_from(self, other: Record) -> None:
        for name in self.names:
            setattr(self, name, getattr(other, name))


class Records(dict[Any, Any]):
    """An array of records of one or two dimensions, as long as need be (`linked`: new ones chain to the next)."""

    def __init__(self, array: Any, linked: str = "", endless: bool = True) -> None:
        super().__init__()
        self.array, self.linked = array, linked
        self.kind = type("Row", (Record,), {"names": array.dtype.names, "__slots__": array.dtype.names})
        self.zero = np.zeros((), array.dtype)
        self.shape = (*array.shape[:-1], MANY) if endless else array.shape

    def __missing__(self, at: Any) -> Any:
        if self.array.ndim == 2 and not isinstance(at, tuple):
            row: Any = Row(self, int(at))
        else:
            key = tuple(int(i) for i in at) if isinstance(at, tuple) else (int(at),)
            inside = all(i < n for i, n in zip(key, self.array.shape, strict=True))
            row = self.kind(self.array[key] if inside else self.zero)
            if (not inside and self.linked) or (inside and self.linked and getattr(row, self.linked) < 0):
                setattr(row, self.linked, key[0] + 1)
        super().__setitem__(at, row)
        return row

    def __setitem__(self, at: Any, value: Any) -> None:
        self[at].copy_from(value)  # what assigning a record does in numba


class Row:
    """One row of a two-dimensional array of records."""

    def __init__(self, owner: Records, i: int) -> None:
        self.owner, self.i = owner, i
        self.shape = (owner.shape[1],)

    def __getitem__(self, j: Any) -> Any:
        return self.owner[self.i, j]


class Plain:
    """A world as Python objects."""

    def __init__(self, world: Any) -> None:
        from gwsim.engine.compiled import driver
        from gwsim.engine.compiled.layout import ARRAYS
        from gwsim.engine.compiled.world import FLAGS

        growing = {*driver.FLAT, *driver.PER_WORKER}
        for name, (dtype, _) in ARRAYS.items():
            array = getattr(world, name)
            if np.dtype(dtype).names:
                field = ("next" if name == "hold" else "next_free") if name in driver.LINKED else ""
                array = Records(np.asarray(array), field, name in growing)
            setattr(self, name, array)
        for flag in FLAGS:
            setattr(self, flag, True)

    def replace(self, name: str, array: Any) -> None:
        """Put another array in the place of `name`."""
        setattr(self, name, Records(np.asarray(array), "", False) if array.dtype.names else array)

    def back(self, world: Any) -> None:
        """Copy what is counted back into `world`."""
        world.g[0] = as_row(self.g[0], world.g.dtype)
        for name in COUNTS:
            for at, row in getattr(self, name).items():
                getattr(world, name)[at] = as_row(row, getattr(world, name).dtype)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                world.replace(name, value)
        made = 1 + max((at for at in self.streams), default=0)
        world.replace("streams", np.array([as_row(self.streams[x], world.streams.dtype) for x in range(made)], world.streams.dtype))
        free = world.streams["next_free"]
        free[free >= made] = -1
        if world.g[0]["stream_free"] >= made:
            world.g[0]["stream_free"] = -1


def as_row(row: Any, dtype: Any) -> Any:
    """A record as NumPy stores it."""
    out = np.zeros((), dtype)
    for name in dtype.names:
        value = getattr(row, name)
        out[name] = int(value) % (MASK + 1) if dtype[name] == np.uint64 else value
    return out[()]


def patch() -> None:
    """Put the integer draws of plain Python in the place of those on uint64."""
    own = {
        "mix64": draws.mix64, "fold": lambda h, x: draws.fold(int(h), int(x)), "draw64": lambda key, p, i=0: draws.draw64(int(key), p, int(i)),
        "uniform": draws.uniform, "below": lambda z, n: int(z) % int(n), "ns": draws.ns, "bit_length": lambda v: int(v).bit_length(),
        "made": lambda records: 1 + max(records, default=-1),
    }
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, function in own.items():
            if hasattr(module, name) and info.name != "draws":
                setattr(module, name, function)


def run(model: Model, replication: int, options: Options) -> RawRun:
    """One replication, as `driver.run` would."""
    from gwsim.engine.compiled import driver, loop

    world, control = driver.build(model, replication, options, 1)
    plain = control.clusters.world = Plain(world)
    while (status := loop.advance(plain, 10**9)) != loop.DONE:
        if status != loop.CONTROL:
            raise RuntimeError("the plain engine stopped")
        control.step()
    control.finish()
    plain.back(world)
    return driver.collect(world, model)
