"""Whatever the files hold, reading, building and asking for a route gives findings and never a traceback."""

from __future__ import annotations

import os

import pytest
from fuzz_shapes import Documents, bases, changed, kinds, shaped, text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gwsim.diagnostics import Collector
from gwsim.resources import read_text
from gwsim.topology import Proxy, Request, choose
from gwsim.topology.from_istio import from_istio

REQUESTS = (
    Request(host="shop.example", path="/a"),
    Request(scheme="https", host="shop.example", method="POST", path="/a?x=1"),
    Request(scheme="tls", sni="a.example"),
    Request(scheme="tcp"),
)
EXAMPLES = int(os.environ.get("GWSIM_FUZZ_EXAMPLES", "100"))
"""More of them look longer: `GWSIM_FUZZ_EXAMPLES=5000 pytest tests/fuzz`."""
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def survive(text: str) -> None:
    """Read, build and ask; every finding can be printed and has a place."""
    collector = Collector()
    resources = read_text(text, "config.yaml", collector=collector)
    topology = from_istio(resources, collector=collector, sidecars=[("app", {"app": "shop"})])
    for proxy in topology.proxies:
        ask(proxy)
    for finding in collector.findings:
        assert str(finding) and finding.span is not None


def ask(proxy: Proxy) -> None:
    """Every request on every listener."""
    for listener in proxy.listeners[:3]:
        for request in REQUESTS:
            choose(proxy, listener.port, request, explain=True)


def test_the_seeds_are_valid():
    for documents in bases():
        collector = Collector()
        read_text(text_of(documents), collector=collector)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=CHECKS)
@given(changed())
def test_valid_objects_with_parts_changed(documents: Documents):
    survive(text_of(documents))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=CHECKS)
@given(st.sampled_from(kinds()).flatmap(shaped), st.sampled_from(bases()))
def test_objects_shaped_after_the_models(document, documents):
    survive(text_of([*documents, document]))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=CHECKS)
@given(st.sampled_from(bases()), st.data())
def test_a_stream_with_a_part_overwritten(documents: Documents, data: st.DataObject):
    text = text_of(documents)
    at = data.draw(st.integers(0, len(text) - 1))
    survive(text[:at] + data.draw(st.text(max_size=4)) + text[at + data.draw(st.integers(0, 12)) :])


@pytest.mark.parametrize("text", ["", "---", "- a", "a", "{}", "[]", "apiVersion: v1", "kind: Gateway", "items: []"])
def test_what_is_hardly_a_document(text: str):
    survive(text)
