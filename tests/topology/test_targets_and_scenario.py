"""Targets as users write them, the scenario ingress-bookinfo, and what a topology must always be."""

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from gwsim.diagnostics import Collector
from gwsim.resources import read
from gwsim.topology import Outcome, Request, TargetMissing, Topology, choose
from gwsim.topology.from_istio import from_istio

CONFIG = Path(__file__).resolve().parents[2] / "scenarios" / "ingress-bookinfo" / "istio"
HTTPS = "east/Service/istio-system/istio-ingressgateway:443"


@pytest.fixture(scope="module")
def bookinfo() -> Topology:
    collector = Collector()
    topology = from_istio(read([CONFIG], collector=collector), cluster="east", zones=("a", "b", "c"), collector=collector)
    assert [str(one) for one in collector.findings] == []
    return topology


ANSWERS = [
    ("/", Outcome.REDIRECT, 302, "root"),
    ("/productpage?u=normal", Outcome.FORWARD, 200, "productpage"),
    ("/api/v1/reviews/7", Outcome.FORWARD, 200, "api-reviews"),
    ("/api/v1/details/7", Outcome.FORWARD, 200, "api-details"),
    ("/static/site.css", Outcome.FORWARD, 200, "static"),
    ("/ping", Outcome.DIRECT_RESPONSE, 200, "ping"),
    ("/admin", Outcome.NOT_FOUND, 404, ""),
]


@pytest.mark.parametrize(("path", "outcome", "status", "route"), ANSWERS)
def test_bookinfo_routes(bookinfo, path, outcome, status, route):
    proxy, listener = bookinfo.resolve(HTTPS)
    got = choose(proxy, listener, Request(scheme="https", host="bookinfo.example.com", path=path))
    assert (got.outcome, got.status, got.route) == (outcome, status, route)


def test_bookinfo_canary_fleet_and_certificate(bookinfo):
    proxy, listener = bookinfo.resolve(HTTPS)
    request = Request(scheme="https", host="bookinfo.example.com", path="/api/v1/reviews/7")
    got = choose(proxy, listener, request)
    assert [one.weight for one in got.clusters] == [90, 10]
    assert got.retry_policy is not None and got.retry_policy.per_try_timeout_s == 0.5
    assert (proxy.replicas, proxy.workers, proxy.autoscaler.max_replicas) == (2, 2, 5)
    assert listener.filter_chains[0].tls.certificate == "p256"
    assert choose(proxy, 8080, Request(host="bookinfo.example.com")).status == 301


MISSING = [
    ("Service/istio-system/istio-ingresgateway:443", "did you mean east/Service/istio-system/istio-ingressgateway:443"),
    ("Service/istio-system/istio-ingressgateway:444", "has no TCP port 444; it has 15021, 80, 443"),
    ("Service/istio-system/istio-ingressgateway:15021", "leads to port 15021"),
    ("west/Service/istio-system/istio-ingressgateway:443", "cluster west does not exist; did you mean east"),
    ("istio-ingressgateway", "write e.g. east/Service/istio-system/istio-ingressgateway:443"),
]


@pytest.mark.parametrize(("target", "message"), MISSING)
def test_a_target_that_is_not_there(bookinfo, target, message):
    with pytest.raises(TargetMissing) as caught:
        bookinfo.resolve(target)
    assert message in str(caught.value)


def test_targets_without_a_cluster_or_by_deployment(bookinfo):
    assert bookinfo.resolve(HTTPS) == bookinfo.resolve(HTTPS.removeprefix("east/"))
    assert bookinfo.resolve("Deployment/istio-system/istio-ingressgateway:8443") == bookinfo.resolve(HTTPS)
    assert bookinfo.proxy("istio-system", "istio-ingressgateway").cluster == "east"
    with pytest.raises(TargetMissing, match="did you mean istio-system/istio-ingressgateway"):
        bookinfo.proxy("istio-system", "ingressgateway")


def test_a_topology_is_frozen_and_can_be_sent_to_another_process(bookinfo):
    proxy, _ = bookinfo.resolve(HTTPS)
    with pytest.raises(FrozenInstanceError):
        proxy.replicas = 3
    again = pickle.loads(pickle.dumps(bookinfo))
    found, listener = again.resolve(HTTPS)
    request = Request(scheme="https", host="bookinfo.example.com", path="/ping")
    assert found.clusters == proxy.clusters
    assert choose(found, listener, request).body == "pong"


def test_the_build_does_not_depend_on_the_order_of_files(bookinfo):
    files = sorted(CONFIG.glob("*.yaml"), reverse=True)
    again = from_istio(read(files, collector=Collector()), cluster="east", zones=("a", "b", "c"))
    mine, theirs = bookinfo.proxies[0], again.proxies[0]
    assert list(mine.clusters) == list(theirs.clusters)
    assert mine.clusters == theirs.clusters


def test_model_and_route_choice_know_nothing_of_yaml():
    code = (
        "import sys, gwsim.topology; "
        "bad = [m for m in ('yaml', 'gwsim.resources', 'simpy', 'numba', 'numpy') if m in sys.modules]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
