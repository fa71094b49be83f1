"""The reference page of the scenario file, made from the models.

    python -m gwsim.scenario.reference > docs/reference/scenario.md
"""

from __future__ import annotations

from typing import Any

from gwsim.scenario.file.base import UNIT_KEY
from gwsim.scenario.schema import schema
from gwsim.units import duration_text

_INTRODUCTION = """\
# The scenario file

<!-- Written by gwsim.scenario.reference from gwsim/scenario/file. Change the models, then run
     python -m gwsim.scenario.reference > docs/reference/scenario.md -->

A scenario says who sends what to which gateways, what is behind them, and which limits must hold. It is one YAML
document; `gwsim init` writes a commented example, and `gwsim schema` the JSON Schema for editors.

**Values** are written for people: durations `250ms`, `1.5s`, `2m`; rates `2000rps`, `2krps`, `600/min`; sizes `600B`,
`64KiB`, `1.5MB`; shares `40%` or `0.4`. A plain number is seconds, requests per second or bytes.

**Overrides.** `--set` takes a path of this file and a value in YAML:

    --set clients.web.arrivals.poisson=3krps
    --set clients.web.mix.checkout.weight=40           an entry of a list, by its name or as mix[0]
    --set backends.east/cart.shop.service_time=20ms    a name with dots stands as it is
    --set costs.overrides.worker.wakeup_us=30

or of an object of the configuration, `[cluster/]Kind/namespace/name:path`:

    --set VirtualService/shop/cart:spec.http[0].timeout=2s

A path that does not exist is refused, with the nearest one that does. Where exactly one field may be given
(`arrivals`, distributions), setting another replaces it. The replicas of a gateway under an autoscaler are not
set unless they are fixed (`--fix-replicas`).

**What is left out** gets a default, and every default that matters is printed as an assumption of the run."""


def document() -> str:
    """The page as Markdown ending in a newline."""
    made = schema()
    parts = made["$defs"]
    lines = [_INTRODUCTION, "", "## Scenario", "", made.get("description", ""), "", *_table(made, parts), ""]
    for name in _order(made, parts):
        part = parts[name]
        lines += [f"## {heading(name)}", "", part.get("description", "").strip(), "", *_table(_fields(part), parts), ""]
    return "\n".join(lines).rstrip() + "\n"


def heading(name: str) -> str:
    """The heading of a model: its class's name without what only tells it from other classes."""
    return name.removesuffix("Section")


def _order(root: dict[str, Any], parts: dict[str, Any]) -> list[str]:
    """The models in the order in which a reader meets them."""
    found: list[str] = []
    todo: list[Any] = [root["properties"]]
    while todo:
        for name in _references(todo.pop(0)):
            if name not in found:
                found.append(name)
                todo.append(parts[name])
    return found


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in _references(value)]
    return [name for value in node for name in _references(value)] if isinstance(node, list) else []


def _fields(part: dict[str, Any]) -> dict[str, Any]:
    """The mapping form of a model that also has a short form."""
    return next((one for one in part.get("anyOf", []) if "properties" in one), part)


def _table(part: dict[str, Any], parts: dict[str, Any]) -> list[str]:
    required = set(part.get("required", ()))
    lines = ["| field | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in part.get("properties", {}).items():
        default = "**required**" if name in required else _default(field)
        lines.append(f"| `{name}` | {_type(field, parts)} | {default} | {field.get('description', '').replace('|', '/')} |")
    return lines


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if isinstance(value, float) and str(field.get(UNIT_KEY, "")).startswith("duration"):
        return f"`{duration_text(value)}`"
    if value is None or value in ("", [], {}) or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return "`[" + ", ".join(str(one) for one in value) + "]`"
    return f"`{str(value).lower() if isinstance(value, bool) else f'{value:g}' if isinstance(value, float) else value}`"


def _type(field: dict[str, Any], parts: dict[str, Any]) -> str:
    """What may stand in a field, in words."""
    if UNIT_KEY in field:
        return str(field[UNIT_KEY])
    if "$ref" in field:
        name = heading(field["$ref"].rpartition("/")[2])
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        words = [one for one in field["enum"] if isinstance(one, str)] or field["enum"]
        return ", ".join(f"`{one}`" for one in words)
    if "anyOf" in field:
        return " or ".join(_type(one, parts) for one in field["anyOf"] if one.get("type") != "null")
    kind = field.get("type")
    if kind == "array":
        items = field.get("items") or (field.get("prefixItems") or [{}])[0]
        return f"list of {_type(items, parts)}"
    if kind == "object":
        return f"mapping of names to {_type(field.get('additionalProperties', {}), parts)}"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    return names.get(str(kind), "value")


if __name__ == "__main__":
    print(document(), end="")
