"""What a sidecar does with TCP, TLS and ports whose protocol is detected; and with what the registry does not know."""

from __future__ import annotations

import pytest
from sidecar_build import ask, entry, scope, service, sidecar, to, virtual_service

from gwsim.topology import Outcome, Request, choose
from gwsim.topology.from_istio import from_istio

DB = service("db", "tcp:3306, auto:9000", more="clusterIP: 10.0.0.5")
WEB = service("web", "http:80, https:443", more="clusterIP: 10.0.0.6")
DB_HOST, WEB_HOST = "db.app.svc.cluster.local", "web.app.svc.cluster.local"
REGISTRY_ONLY = scope("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}")


def out(port, host, subset=""):
    return f"outbound|{port}|{subset}|{host}"


def connect(proxy, destination, port, scheme="tcp", **more):
    return choose(proxy, port, Request(scheme=scheme, destination=destination, **more))


def test_tcp_is_told_apart_by_address():
    other = service("other", "tcp:3306", more="clusterIP: 10.0.0.7")
    proxy = sidecar(DB, other)
    assert to(connect(proxy, "10.0.0.5", 3306)) == [out(3306, DB_HOST)]
    assert to(connect(proxy, "10.0.0.7", 3306)) == [out(3306, "other.app.svc.cluster.local")]
    assert to(connect(proxy, "other", 3306)) == [out(3306, "other.app.svc.cluster.local")]
    assert connect(proxy, "10.9.9.9", 3306).outcome == Outcome.PASSTHROUGH


def test_services_without_an_address_in_the_files_get_one_each():
    proxy = sidecar(service("a", "tcp:1"), service("b", "tcp:1"))
    assert to(connect(proxy, "a", 1)) == [out(1, "a.app.svc.cluster.local")]
    assert to(connect(proxy, "b", 1)) == [out(1, "b.app.svc.cluster.local")]


def test_a_detected_port_takes_http_tls_and_tcp():
    proxy = sidecar(DB)
    for scheme in ("http", "grpc", "https", "tls", "tcp"):
        got = connect(proxy, "10.0.0.5", 9000, scheme, host="anything.example")
        assert to(got) == [out(9000, DB_HOST)], scheme
    assert connect(proxy, "10.0.0.5", 9000, "http", host="x").virtual_host == f"{DB_HOST}:9000"


def test_tls_to_a_port_that_speaks_http_goes_past_it():
    got = connect(sidecar(WEB), "10.0.0.6", 80, "https", host="web")
    assert got.outcome == Outcome.PASSTHROUGH
    assert connect(sidecar(WEB, REGISTRY_ONLY), "10.0.0.6", 80, "tcp").outcome == Outcome.BLACKHOLE


def test_https_to_a_service_with_an_address_needs_no_server_name():
    assert to(connect(sidecar(WEB), "10.0.0.6", 443, "tls", sni="")) == [out(443, WEB_HOST)]


# An entry with every kind of port, with and without an address: what becomes of other hosts on its ports.
PORTS = (
    "[{number: 80, name: http, protocol: HTTP}, {number: 81, name: auto}, {number: 82, name: tcp, protocol: TCP}, "
    "{number: 83, name: tls, protocol: TLS}, {number: 84, name: https, protocol: HTTPS}, {number: 85, name: grpc, protocol: GRPC}]"
)
WITH = entry("e", f"{{hosts: [known.example], addresses: [10.1.1.1], resolution: DNS, ports: {PORTS}}}")
WITHOUT = entry("e", f"{{hosts: [known.example], resolution: DNS, ports: {PORTS}}}")


@pytest.mark.parametrize("port", range(80, 87))
@pytest.mark.parametrize("scheme", ["http", "https", "tcp", "grpc"])
@pytest.mark.parametrize("addressed", [True, False])
def test_unknown_hosts_on_known_ports(port, scheme, addressed):
    config = WITH if addressed else WITHOUT
    free, closed = sidecar(config), sidecar(config, REGISTRY_ONLY)
    allowed, refused = (connect(one, "10.9.9.9", port, scheme, host="other.example") for one in (free, closed))
    if not addressed and (port == 82 or (port == 81 and scheme in ("tcp", "https"))):
        # Nothing but the port tells TCP without an address apart, so it takes everything.
        assert to(allowed) == to(refused) == [out(port, "known.example")]
        return
    assert allowed.outcome == Outcome.PASSTHROUGH
    assert refused.outcome == Outcome.BLACKHOLE
    answered = scheme in ("http", "grpc") and (port in (80, 85) or (port == 81 and not addressed))
    assert refused.status == (502 if answered else 0)


def test_the_sidecars_own_ports_are_closed():
    for port in (15001, 15006):
        assert connect(sidecar(WEB), "10.9.9.9", port).outcome == Outcome.BLACKHOLE


# TLS routes


@pytest.mark.parametrize("port", (15001, 15006, 15021, 15090))
def test_services_on_the_sidecars_own_ports(port):
    """Its own listeners are on any address, where HTTP would be as well; TCP is at the service's address."""
    web = service("web", f"http:{port}", more="clusterIP: 10.0.0.6")
    status = service("status", f"tcp-status:{port}", more="clusterIP: 10.0.0.7")
    proxy = sidecar(web, status)
    assert f"0.0.0.0_{port}" not in [one.name for one in proxy.listeners]
    assert to(connect(proxy, "10.0.0.7", port)) == [out(port, "status.app.svc.cluster.local")]


def test_server_names_tell_external_tls_hosts_apart():
    proxy = sidecar(
        entry("a", "{hosts: [a.example], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}"),
        entry("b", "{hosts: ['*.b.example'], resolution: NONE, ports: [{number: 443, name: https, protocol: HTTPS}]}"),
    )
    assert to(ask(proxy, "https://a.example/")) == [out(443, "a.example")]
    assert to(ask(proxy, "https://x.b.example/")) == [out(443, "*.b.example")]
    assert ask(proxy, "https://c.example/").outcome == Outcome.PASSTHROUGH


def test_tls_routes_of_the_mesh():
    external = entry("a", "{hosts: [a.example], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}")
    egress = service("egress", "https:443", "istio-system")
    rule = """
    tls:
    - match: [{gateways: [mesh], port: 443, sniHosts: [a.example]}]
      route: [{destination: {host: egress.istio-system.svc.cluster.local, port: {number: 443}}}]
    - match: [{gateways: [istio-system/out], port: 443, sniHosts: [a.example]}]
      route: [{destination: {host: a.example, port: {number: 443}}}]
    """
    proxy = sidecar(external, egress, virtual_service("v", "[a.example]", rule, more="gateways: [mesh, istio-system/out]"))
    assert to(ask(proxy, "https://a.example/")) == [out(443, "egress.istio-system.svc.cluster.local")]


def test_of_equal_tls_matches_the_first_for_this_client_counts():
    external = entry("a", "{hosts: [a.example], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}")
    rule = """
    tls:
    - match: [{sniHosts: [a.example], sourceLabels: {app: web}}]
      route: [{destination: {host: web, port: {number: 443}}}]
    - match: [{sniHosts: [a.example]}]
      route: [{destination: {host: db, port: {number: 3306}}}]
    """
    config = (external, WEB, DB, virtual_service("v", "[a.example]", rule))
    assert to(ask(sidecar(*config, labels={"app": "web"}), "https://a.example/")) == [out(443, WEB_HOST)]
    assert to(ask(sidecar(*config), "https://a.example/")) == [out(3306, DB_HOST)]


# TCP routes


def test_tcp_routes_with_weights_and_subnets():
    rule = """
    tcp:
    - match: [{destinationSubnets: [10.0.0.0/8], sourceLabels: {app: web}}]
      route: [{destination: {host: web, port: {number: 443}}}]
    - match: [{port: 3306}]
      route:
      - {destination: {host: db, port: {number: 3306}}, weight: 80}
      - {destination: {host: web, port: {number: 443}}, weight: 20}
    """
    config = (DB, WEB, virtual_service("v", f"[{DB_HOST}]", rule))
    split = connect(sidecar(*config), "10.0.0.5", 3306)
    assert [(one.cluster, one.weight) for one in split.clusters] == [(out(3306, DB_HOST), 80), (out(443, WEB_HOST), 20)]
    assert to(connect(sidecar(*config, labels={"app": "web"}), "10.0.0.5", 3306)) == [out(443, WEB_HOST)]


def test_a_tcp_route_for_another_port_leaves_the_service_as_it_is():
    rule = "tcp: [{match: [{port: 1}], route: [{destination: {host: web, port: {number: 443}}}]}]"
    assert to(connect(sidecar(DB, WEB, virtual_service("v", f"[{DB_HOST}]", rule)), "10.0.0.5", 3306)) == [out(3306, DB_HOST)]


# Address ranges


def test_the_narrower_range_wins_and_equal_ranges_keep_the_first():
    def tcp(name, address):
        return entry(name, f"{{hosts: [{name}.example], addresses: [{address}], ports: [{{number: 9, name: t, protocol: TCP}}]}}")

    proxy = sidecar(tcp("a", "10.2.0.0/16"), tcp("b", "10.2.3.0/24"), tcp("c", "10.2.3.99/24"))
    assert to(connect(proxy, "10.2.3.4", 9)) == [out(9, "b.example")]
    assert to(connect(proxy, "10.2.9.9", 9)) == [out(9, "a.example")]
    assert connect(proxy, "10.3.0.1", 9).outcome == Outcome.PASSTHROUGH


def test_ranges_of_ipv6_addresses():
    def tcp(name, address):
        return entry(name, f"{{hosts: [{name}.example], addresses: ['{address}'], ports: [{{number: 9, name: t, protocol: TCP}}]}}")

    proxy = sidecar(tcp("a", "1234:1f1:1::1/16"), tcp("b", "1234:1f1:2::1/32"), tcp("c", "1234:1f1:3::1/32"), tcp("d", "::5/128"))
    assert to(connect(proxy, "1234:1f1:9::9", 9)) == [out(9, "b.example")]
    assert to(connect(proxy, "1234::1", 9)) == [out(9, "a.example")]
    assert to(connect(proxy, "::5", 9)) == [out(9, "d.example")]


def test_a_range_and_the_wrong_server_name_go_past():
    def tls(name, address):
        return entry(name, f"{{hosts: [{name}.example], addresses: [{address}], ports: [{{number: 9, name: t, protocol: TLS}}]}}")

    proxy = sidecar(tls("a", "10.2.0.0/16"), tls("b", "10.2.3.0/24"))
    assert to(connect(proxy, "10.2.3.4", 9, "tls", sni="b.example")) == [out(9, "b.example")]
    assert to(connect(proxy, "10.2.9.4", 9, "tls", sni="a.example")) == [out(9, "a.example")]
    assert connect(proxy, "10.2.3.4", 9, "tls", sni="a.example").outcome == Outcome.PASSTHROUGH


def test_every_address_of_an_entry_has_a_listener():
    both = entry("b", "{hosts: [b.example], addresses: [10.4.0.1, 10.4.0.2], ports: [{number: 9, name: t, protocol: TCP}]}")
    first = entry("a", "{hosts: [a.example], addresses: [10.4.0.2], ports: [{number: 9, name: t, protocol: TCP}]}")
    proxy = sidecar(first, both)
    assert to(connect(proxy, "10.4.0.1", 9)) == [out(9, "b.example")]
    assert to(connect(proxy, "10.4.0.2", 9)) == [out(9, "a.example")]


# Headless services


def test_a_headless_service_with_udp():
    dns = """
    apiVersion: v1
    kind: Service
    metadata: {name: dns, namespace: app}
    spec: {clusterIP: None, ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}, {name: x, port: 54, protocol: UDP}]}
    """
    assert to(connect(sidecar(dns), "dns", 53)) == [out(53, "dns.app.svc.cluster.local")]


HEADLESS = service("pods", "http:80, tcp:81, https:82", more="clusterIP: None")
PODS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: pods, namespace: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: pods}}
  template: {metadata: {labels: {app: pods}}, spec: {containers: [{name: c}]}}
"""


def test_headless_services_are_reached_pod_by_pod():
    proxy = sidecar(HEADLESS, PODS)
    host = "pods.app.svc.cluster.local"
    assert to(ask(proxy, "http://pods/")) == [out(80, host)]
    assert to(ask(proxy, "http://pods-1.pods/")) == [out(80, host)]
    assert to(connect(proxy, "pods", 81)) == [out(81, host)]
    assert to(connect(proxy, "pods-1.pods", 81)) == [out(81, host)]
    assert to(connect(proxy, "pods", 82, "tls", sni="whatever")) == [out(82, host)]
    assert proxy.clusters[out(81, host)].discovery == "ORIGINAL_DST"


def test_workloads_picked_without_resolution_are_reached_one_by_one():
    """ServiceEntry with resolution NONE and a workloadSelector: nothing on any address, unlike without the selector."""
    spec = "{hosts: [vm.example], location: MESH_INTERNAL, resolution: NONE, ports: [{number: 81, name: tcp, protocol: TCP}]"
    machine = """
    apiVersion: networking.istio.io/v1
    kind: WorkloadEntry
    metadata: {name: vm, namespace: app}
    spec: {address: 10.1.1.1, labels: {app: vm}}
    """
    picked = sidecar(entry("vm", spec + ", workloadSelector: {labels: {app: vm}}}"), machine)
    assert to(connect(picked, "10.1.1.1", 81)) == [out(81, "vm.example")]
    assert connect(picked, "10.1.1.2", 81).outcome == Outcome.PASSTHROUGH
    plain = sidecar(entry("vm", spec + "}"), machine)
    assert to(connect(plain, "10.1.1.2", 81)) == [out(81, "vm.example")]


def test_capture_mode_none_binds_to_the_loopback_address():
    spec = "{egress: [{port: {number: 3307, protocol: TCP, name: db}, bind: 127.0.0.1, captureMode: NONE, hosts: ['./*']}]}"
    other = service("db2", "tcp:3307")
    proxy = sidecar(other, scope(spec))
    assert to(connect(proxy, "127.0.0.1", 3307)) == [out(3307, "db2.app.svc.cluster.local")]
    assert connect(proxy, "db2", 3307).outcome == Outcome.PASSTHROUGH


def test_a_sidecar_has_the_size_of_its_deployment():
    from gwsim.resources import read_text

    topology = from_istio(read_text(PODS, "a.yaml"), sidecars=[("app", {"app": "pods"})])
    proxy = topology.proxies[-1]
    assert (proxy.kind, proxy.name, proxy.replicas, len(proxy.pods)) == ("sidecar", "pods", 2, 2)
