"""HTTP/1.0: refused by Istio's proxies unless they are told otherwise."""

from dataclasses import replace

from topology_build import GATEWAY, SERVICES, TO_SHOP, build, routes

from gwsim.topology import Outcome, Request, choose


def test_it_is_answered_426_and_not_routed():
    decision = build(SERVICES, GATEWAY, routes(f"- {TO_SHOP}")).get(http_version="1.0")
    assert (decision.outcome, decision.status, decision.flags) == (Outcome.ERROR, 426, ("DPE",))


def test_a_proxy_that_accepts_it():
    proxy = build(SERVICES, GATEWAY, routes(f"- {TO_SHOP}")).proxy
    listener = proxy.listeners[0]
    chain = listener.filter_chains[0]
    accepting = replace(chain, filter=replace(chain.filter, accept_http_10=True))
    request = Request(host="shop.example", http_version="1.0")
    assert choose(proxy, replace(listener, filter_chains=(accepting,)), request).status == 200
