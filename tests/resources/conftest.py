"""Shared by the tests of the reader."""

import textwrap

import pytest

from gwsim.diagnostics import Collector
from gwsim.resources import read_text


@pytest.fixture
def load():
    """Read a text; returns the set of objects and the collector."""

    def load(text, **options):
        collector = Collector()
        return read_text(textwrap.dedent(text), "t.yaml", collector=collector, **options), collector

    return load


@pytest.fixture
def findings(load):
    """Read a text; returns what was found as (code name, line, object and path) triples, notes left out."""
    from gwsim.diagnostics import CODES, Level

    def findings(text, level=None, **options):
        _, collector = load(text, **options)
        wanted = [f for f in collector if (f.level is level if level else f.level is not Level.INFO)]
        return [(CODES[f.code].name, f.span.line if f.span else 0, (f.object_ref or "").partition(" ")[2]) for f in wanted]

    return findings
