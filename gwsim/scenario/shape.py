"""The shape of the scenario file, read from the models: which steps a path may take, and what they lead to."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from gwsim.scenario.file.base import FileModel


def inner(annotation: Any) -> Any:
    """The annotation without `Annotated` and `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            parts = [part for part in get_args(annotation) if part is not types.NoneType]
            if len(parts) != 1:
                return annotation
            annotation = parts[0]
        else:
            return annotation


def model_of(annotation: Any) -> type[FileModel] | None:
    """The model that a mapping at this place is read as, or None."""
    found = inner(annotation)
    return found if isinstance(found, type) and issubclass(found, FileModel) else None


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """Field names as written in the file, and their annotations."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def keyed(annotation: Any) -> Any | None:
    """What the values of a mapping with names of the user's are; None for anything else."""
    found = inner(annotation)
    return get_args(found)[1] if get_origin(found) in (dict, Mapping) else None


def listed(annotation: Any) -> Any | None:
    """What the entries of a list are; None for anything else."""
    found = inner(annotation)
    return get_args(found)[0] if get_origin(found) in (tuple, list, Sequence) else None


def step_into(annotation: Any, step: str | int) -> Any | None:
    """The annotation one step further, or None when there is no such step."""
    model = model_of(annotation)
    if model is not None:
        return fields_of(model).get(str(step))
    values = keyed(annotation)
    return values if values is not None else listed(annotation)


def annotation_at(root: type[FileModel], steps: Sequence[str | int]) -> Any | None:
    """The annotation at a path, or None when it leads nowhere."""
    found: Any = root
    for step in steps:
        found = step_into(found, step)
        if found is None:
            return None
    return found
