"""The JSON Schema of the scenario file, for editors.

    python -m gwsim.scenario.schema > gwsim/scenario/schema.json
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from gwsim.scenario.file import Scenario

SHIPPED = "schema.json"


def schema() -> dict[str, Any]:
    """The schema, made from the models."""
    made = Scenario.model_json_schema(by_alias=True)
    _without_titles(made)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gwsim scenario"}
    return head | made


def _without_titles(node: Any) -> None:
    """Drop the titles pydantic makes of field names: they say nothing and double the size."""
    if isinstance(node, dict):
        for key, value in list(node.items()):
            if key == "title" and isinstance(value, str):
                del node[key]
            else:
                _without_titles(value)
    elif isinstance(node, list):
        for value in node:
            _without_titles(value)


def schema_text() -> str:
    """The schema as JSON text ending in a newline; the same bytes for the same models."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def shipped_text() -> str:
    """The schema as it is installed."""
    return files("gwsim.scenario").joinpath(SHIPPED).read_text(encoding="utf-8")


if __name__ == "__main__":
    print(schema_text(), end="")
