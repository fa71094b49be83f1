"""Example projects that `gwsim init` writes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from gwsim.diagnostics import did_you_mean
from gwsim.errors import UsageError

NAMES = ("ingress",)
"""The templates there are."""


def write_template(folder: str | Path, name: str = "ingress") -> tuple[Path, ...]:
    """Write an example project into `folder` (made if need be) and return the files written, in order.

    Raises UsageError for an unknown name, when a file of the project exists already (nothing is written then),
    and when the folder cannot be written to.
    """
    if name not in NAMES:
        hint = did_you_mean(name, NAMES) or f"there is {', '.join(NAMES)}"
        raise UsageError(f"there is no template {name!r}; {hint}")
    root = Path(folder)
    contents = {root / path: text for path, text in _files(files("gwsim.scenario.templates").joinpath(name))}
    taken = [path for path in contents if path.exists()]
    if taken:
        raise UsageError(f"{taken[0]} exists already; nothing is written over, choose another folder")
    try:
        for path, text in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"cannot write the project into {root}: {error.strerror or error}") from error
    return tuple(contents)


def _files(root: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    for one in sorted(root.iterdir(), key=lambda entry: entry.name):
        if one.is_dir():
            yield from _files(one, f"{prefix}{one.name}/")
        elif one.name.endswith(".yaml"):
            yield prefix + one.name, one.read_text(encoding="utf-8")


__all__ = ["NAMES", "write_template"]
