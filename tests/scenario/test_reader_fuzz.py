"""The reader never answers with a traceback, whatever the file holds."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario_text import SCENARIO

from gwsim.errors import InputError
from gwsim.scenario import load_text
from gwsim.scenario.file import Scenario
from gwsim.scenario.shape import fields_of, keyed, listed, model_of

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["1ms", "10%", "2krps", "auto"]))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=8)


def readable(text: str, *set_: str) -> None:
    try:
        load_text(text, "s.yaml", set_=set_)
    except InputError as error:
        assert error.findings
        assert all(finding.span is not None for finding in error.findings)


@given(st.text())
def test_any_text(text: str) -> None:
    readable(text)


@given(values)
def test_any_yaml(value: Any) -> None:
    readable(yaml.safe_dump(value))


def shaped(annotation: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of about the right shape: right field names, often wrong values."""
    model = model_of(annotation)
    if depth > 4:
        return scalars
    if model is not None:
        fields = {name: shaped(one, depth + 1) for name, one in fields_of(model).items()}
        return st.fixed_dictionaries({}, optional=fields) | scalars
    if keyed(annotation) is not None:
        return st.dictionaries(st.sampled_from(["east", "web", "p50", "503", "a/b.c", ""]), shaped(keyed(annotation), depth + 1), max_size=2)
    if listed(annotation) is not None:
        return st.lists(shaped(listed(annotation), depth + 1), max_size=2)
    return scalars


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(shaped(Scenario))
def test_anything_of_the_right_shape(value: Any) -> None:
    readable(yaml.safe_dump(value))


@settings(max_examples=150)
@given(st.integers(0, len(SCENARIO) - 1), st.integers(0, 12), st.text(max_size=4))
def test_a_scenario_with_a_part_changed(at: int, length: int, text: str) -> None:
    readable(SCENARIO[:at] + text + SCENARIO[at + length :])


@settings(max_examples=200)
@given(st.sampled_from(["clients", "clients.web.mix", "clients.web.mix[0]", "backends", "run", "costs.overrides", "budgets", ""]), st.text(max_size=12), st.text(max_size=12))
def test_any_setting(start: str, path: str, value: str) -> None:
    readable(SCENARIO, f"{start}{path}={value}", f"{start}.{path}={value}", f"{start}={value}")
