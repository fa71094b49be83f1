"""When rules about routes and gateways fire, and when they do not: the conditions of istioctl's analyzers.

Each test names the analyzer of istio/istio pkg/config/analysis/analyzers it follows; the configuration is our own.
"""

import json

import pytest
from lint_calls import docs, found, k8s, lint, pod


def service(name, *ports, namespace="default", **metadata):
    spec = {"ports": [{"name": f"http-{port}", "port": port} for port in ports]}
    return k8s("Service", name, namespace, spec, group="v1", **metadata)


def route(name, host, namespace="default", *, port=None, subset=None, hosts=("a.example",), export_to=None, **rule):
    destination = {"host": host, **({"port": {"number": port}} if port else {}), **({"subset": subset} if subset else {})}
    spec = {"hosts": list(hosts), "http": [{"route": [{"destination": destination}], **rule}]}
    return k8s("VirtualService", name, namespace, spec | ({"exportTo": export_to} if export_to else {}))


def entry(name, host, namespace="default", *, export_to=None, **spec):
    spec = {"hosts": [host], "resolution": "DNS", "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], **spec}
    return k8s("ServiceEntry", name, namespace, spec | ({"exportTo": export_to} if export_to else {}))


def test_destination_hosts_and_who_sees_them():  # virtualservice/destinationhosts.go
    report = lint(docs(
        service("one", 80), service("two", 80, 443), service("shared", 80, namespace="other"),
        service("hidden", 80, annotations={"networking.istio.io/exportTo": "friend"}),
        service("open", 80, namespace="lab", annotations={"networking.istio.io/exportTo": "friend,."}),
        entry("wild", "*.eu.example"), entry("private", "*", "elsewhere", export_to=["."]), entry("given", "abc.example", "elsewhere", export_to=["default"]),
        route("short", "one"), route("full", "one.default.svc.cluster.local"), route("wildcard", "x.eu.example"), route("imported", "abc.example"),
        route("bogus", "oen"), route("other-namespace", "shared"), route("outside", "nowhere.example"),
        route("wrong-port", "one", port=8080), route("no-port", "two"), route("with-port", "two", port=443),
        route("not-exported", "hidden.default.svc.cluster.local", "stranger"), route("exported", "hidden.default.svc.cluster.local", "friend"),
        route("own", "open", "lab"), route("narrowed", "open", "lab", export_to=["nobody"]),
        route("mirror", "one", mirror={"host": "oen"}), route("mirrors", "one", mirrors=[{"destination": {"host": "oen"}}]),
    ))
    assert found(report, "IST0101") == {
        "default/bogus", "default/other-namespace", "default/outside", "default/wrong-port", "stranger/not-exported", "lab/narrowed",
        "default/mirror", "default/mirrors",
    }
    assert found(report, "IST0112") == {"default/no-port"}


def mesh_map(name, domain):
    return json.dumps(json.loads(k8s("ConfigMap", name, "istio-system", group="v1")) | {"data": {"mesh": f"clusterDomain: {domain}"}})


CORP = {"meshConfig": {"clusterDomain": "corp.example"}}


@pytest.mark.parametrize(
    "mesh",
    [
        [mesh_map("istio", "corp.example")],
        [mesh_map("istio", "corp.example"), mesh_map("istio-old", "old.example")],
        [mesh_map("istio", "corp.example"), k8s("IstioOperator", "i", "istio-system", {"meshConfig": {"clusterDomain": "x.example"}}, group="install.istio.io/v1alpha1")],
        [k8s("IstioOperator", "i", "istio-system", CORP, group="install.istio.io/v1alpha1")],
        [k8s("IstioOperator", "i", "istio-system", {"values": CORP}, group="install.istio.io/v1alpha1")],
        [k8s("Istio", "default", None, {"version": "v1.30.0", "namespace": "istio-system", "values": CORP}, group="sailoperator.io/v1")],
        ["clusterDomain: corp.example"],
    ],
)
def test_a_custom_cluster_domain(mesh):
    report = lint(docs(*mesh, service("one", 80), route("ok", "one.default.svc.corp.example"), route("bad", "one.default.svc.cluster.local")))
    assert found(report, "IST0101") == {"default/bad"}


def test_subsets():  # virtualservice/destinationrules.go
    rule = k8s("DestinationRule", "r", "default", {"host": "one", "subsets": [{"name": "v1", "labels": {"v": "1"}}]})
    far = k8s("DestinationRule", "f", "lab", {"host": "one.default.svc.cluster.local", "subsets": [{"name": "v3", "labels": {"v": "3"}}]})
    report = lint(docs(
        service("one", 80), rule, far, route("v1", "one", subset="v1"), route("v3", "one.default.svc.cluster.local", subset="v3"),
        route("v2", "one", subset="v2"), route("mirror", "one", subset="v1", mirror={"host": "one", "subset": "v9"}),
    ))
    assert found(report, "IST0101") == {"default/v2", "default/mirror"}


def test_rules_and_matches_that_are_never_used():  # schema validation, analyzeUnreachable*Rules
    def rules(name, *rules, block="http"):
        return k8s("VirtualService", name, "default", {"hosts": ["a.example"], "gateways": ["g"], block: list(rules)})

    to = {"route": [{"destination": {"host": "one"}}]}

    def uri(prefix=None, exact=None, **more):
        return {"uri": {"prefix": prefix} if prefix else {"exact": exact}, **more}

    get, post = {"method": {"exact": "GET"}}, {"method": {"exact": "POST"}}
    report = lint(docs(
        rules("two-catch-alls", to, to), rules("after-catch-all", to, {"match": [uri("/a")], **to}),
        rules("same", {"match": [{"name": "x", **uri("/a")}], **to}, {"match": [uri("/a")], **to}),
        rules("partly", {"match": [uri("/a")], **to}, {"match": [uri("/a"), uri("/b")], **to}),
        rules("within", {"match": [uri("/api", **get)], **to}, {"match": [uri("/api/v2", **get)], **to}),
        rules("any-method", {"match": [uri("/api"), uri("/api/v2", **get)], **to}),
        rules("other-method", {"match": [uri("/api", **get)], **to}, {"match": [uri("/api/v2", **post)], **to}),
        rules("header-first", {"match": [uri("/api", headers={"x": {"exact": "1"}})], **to}, {"match": [uri("/api/v2")], **to}),
        rules("longer-first", {"match": [uri("/api/v2")], **to}, {"match": [uri("/api")], **to}),
        rules("root-and-exact", {"match": [uri("/"), uri(exact="/", **get)], **to}),
        rules("tcp", {"match": [{"port": 1}], **to}, {"match": [{"port": 1}], **to}, block="tcp"),
        rules("tls", {"match": [{"port": 1, "sniHosts": ["a.example"]}], **to}, {"match": [{"port": 1, "sniHosts": ["a.example"]}, {"port": 2, "sniHosts": ["a.example"]}], **to}, block="tls"),
    ))
    assert found(report, "IST0130") == {f"default/{name}" for name in ("two-catch-alls", "after-catch-all", "same", "tcp")}
    assert found(report, "IST0131") == {f"default/{name}" for name in ("same", "partly", "within", "any-method", "tcp", "tls")}


def test_hosts_of_the_mesh_in_several_services():  # virtualservice/conflictingmeshgatewayhosts.go
    def vs(name, namespace, host, gateways=None, export_to=None):
        spec = {"hosts": [host], "http": [{"route": [{"destination": {"host": host}}]}]}
        spec |= {"gateways": gateways} if gateways else {}
        return k8s("VirtualService", name, namespace, spec | ({"exportTo": export_to} if export_to else {}))

    report = lint(docs(
        vs("a", "one", "cart"), vs("b", "two", "cart.one.svc.cluster.local"), vs("c", "two", "cart"),
        vs("d", "one", "pay", export_to=["."]), vs("e", "two", "pay.one.svc.cluster.local", export_to=["."]),
        vs("f", "one", "x.example", export_to=["two"]), vs("g", "two", "x.example", export_to=["."]),
        vs("h", "one", "y.example", gateways=["edge/web"]), vs("i", "one", "y.example", gateways=["edge/web", "mesh"]),
        vs("j", "one", "z.example", export_to=["."]), vs("k", "two", "z.example"),
        vs("l", "one", "*.deep.test", export_to=["."]), vs("m", "two", "*.test"),
    ))
    assert found(report, "IST0109") == {"one/a", "two/b", "one/f", "two/g", "one/j", "two/k", "one/l", "two/m"}
    notes = {one.object_ref.split()[0] for one in report.findings if one.code == "GW0401" and one.level.value == "info"}
    assert notes == {"VirtualService/one/l", "VirtualService/two/m"}, "sidecars take the most specific of two wildcards"


GATEWAY = {"selector": {"istio": "ingressgateway"}}


def gateway(name, namespace="default", *hosts, port=80, selector=None, protocol="HTTP", tls=None):
    server = {"port": {"number": port, "name": f"p{port}", "protocol": protocol}, "hosts": list(hosts or ["*"])}
    server |= {"tls": tls} if tls else {}
    return k8s("Gateway", name, namespace, {"selector": selector or GATEWAY["selector"], "servers": [server]})


def bound(name, host, gateways, namespace="default"):
    spec = {"hosts": [host], "gateways": gateways, "http": [{"directResponse": {"status": 200}}]}
    return k8s("VirtualService", name, namespace, spec)


def test_gateways_and_their_hosts():  # virtualservice/gateways.go
    report = lint(docs(
        gateway("plain", "default", "a.example"), gateway("wild", "edge", "*.example", "default/private.corp"), gateway("own", "edge", "./b.test"),
        gateway("all", "edge", "*/*"),
        bound("same", "a.example", ["plain"]), bound("sub", "x.example", ["edge/wild"]), bound("any", "q.w", ["edge/all"]), bound("mesh", "a.example", ["mesh"]),
        bound("granted", "private.corp", ["edge/wild"]), bound("fully", "a.example", ["plain.default.svc.cluster.local"]),
        bound("gone", "a.example", ["plian"]), bound("other", "z.example", ["plain"]), bound("denied", "private.corp", ["edge/wild"], "lab"),
        bound("not-own", "b.test", ["edge/own"]), bound("generated", "a.example", ["edge/x-istio-autogenerated-k8s-gateway-http"]),
    ))
    assert found(report, "IST0101") == {"default/gone"}
    assert found(report, "IST0132") == {"default/gone", "default/other", "lab/denied", "default/not-own"}
    assert found(report, "IST0165") == {"default/generated"}


def test_gateways_in_conflict():  # gateway/conflictinggateway.go
    report = lint(docs(
        gateway("a", "default", "foo.bar"), gateway("b", "lab", "foo.bar"), gateway("c", "default", "bar.bar"), gateway("d", "default", "foo.bar", port=8080),
        gateway("broad", "default", "x.y", selector={"app": "g"}), gateway("narrow", "default", "x.y", selector={"app": "g", "tier": "1"}),
        gateway("wild", "default", "*.y", selector={"app": "g"}), pod("p", labels={"app": "g", "tier": "1"}),
        k8s("Gateway", "no-port", "default", {"selector": GATEWAY["selector"], "servers": [{"hosts": ["foo.bar"]}]}),
    ))
    assert found(report, "IST0145") == {"default/a", "lab/b", "default/broad", "default/narrow"}


def test_ports_of_the_gateways_service():  # gateway/gateway.go
    def svc(name, port, labels, target=None):
        spec = {"selector": labels, "ports": [{"name": "http", "port": port, **({"targetPort": target} if target else {})}]}
        return k8s("Service", name, "default", spec, group="v1")

    one, two = {"app": "one"}, {"app": "two"}
    report = lint(docs(
        pod("p1", labels=one), pod("p2", labels=two), svc("s1", 80, one, 8003), svc("s2", 8002, two),
        gateway("translated", port=80, selector=one), gateway("missing", port=8004, selector=one), gateway("of-the-other", port=8002, selector=one),
        gateway("stock", port=443, protocol="TLS", tls={"mode": "PASSTHROUGH"}), gateway("stock-missing", port=9999),
        gateway("nobody", selector={"app": "three"}),
    ))
    assert found(report, "IST0162") == {"default/missing", "default/of-the-other", "default/stock-missing"}
    assert found(report, "IST0101") == {"default/nobody"}


def test_certificates():  # gateway/certificate.go, gateway/secret.go
    def https(name, credential, host, selector=None):
        return gateway(name, "default", host, port=443, protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": credential}, selector=selector)

    secret = k8s("Secret", "there", "istio-system", group="v1")
    near = k8s("Secret", "near", "default", group="v1")
    report = lint(docs(secret, near, https("a", "there", "a.b"), https("b", "there", "b.b"), https("c", "near", "c.b"), https("d", "gone", "d.b")))
    assert found(report, "IST0138") == {"default/a", "default/b"}
    assert found(report, "IST0101") == {"default/c", "default/d"}
    assert found(report, "IST0161") == {"default/a", "default/b"}, "an empty Secret has no keys"
    alone = lint(https("d", "gone", "d.b"))
    assert [one.level.value for one in alone.findings if one.code == "GW0110"] == ["info"], "no Secret at all says nothing"


@pytest.mark.parametrize(("rules", "wanted"), [([], {"default/v"}), ([{}], set()), ([{"selector": {"matchLabels": {"app": "other"}}}], {"default/v"})])
def test_claims_need_tokens_checked(rules, wanted):  # virtualservice/jwtclaimroute.go
    checks = [k8s("RequestAuthentication", f"r{at}", "istio-system", rule, group="security.istio.io/v1") for at, rule in enumerate(rules)]
    match = {"headers": {"@request.auth.claims.group": {"exact": "a"}}}
    vs = k8s("VirtualService", "v", "default", {"hosts": ["a.b"], "gateways": ["g"], "http": [{"match": [match], "directResponse": {"status": 200}}]})
    assert found(lint(docs(gateway("g", "default", "a.b"), vs, *checks)), "IST0149") == wanted


def test_destination_rules_without_a_host_or_pods():  # destinationrule/subset.go
    def rule(name, host, **labels):
        return k8s("DestinationRule", name, "default", {"host": host, "subsets": [{"name": "s", "labels": labels}]})

    node = k8s("Node", "n1", None, {}, group="v1", labels={"topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": ""})
    svc = k8s("Service", "one", "default", {"selector": {"app": "one"}, "ports": [{"name": "http", "port": 80}]}, group="v1")
    report = lint(docs(
        node, svc, pod("p", labels={"app": "one", "v": "1"}, nodeName="n1"),
        rule("ok", "one", v="1"), rule("zone", "one", **{"topology.kubernetes.io/zone": "z1"}), rule("empty", "one", v="2"), rule("nozone", "one", **{"topology.kubernetes.io/zone": "z2"}),
        rule("unknown", "oen", v="1"), rule("noregion", "one", **{"topology.kubernetes.io/region": ""}),
    ))
    assert found(report, "IST0173") == {"default/empty", "default/nozone", "default/noregion"}
    assert found(report, "IST0174") == {"default/unknown"}


def test_verification_of_servers():  # destinationrule/ca-certificates.go
    def rule(name, tls, port_tls=None, **more):
        ports = {"portLevelSettings": [{"port": {"number": 443}, "tls": port_tls}]} if port_tls else {}
        return k8s("DestinationRule", name, "default", {"host": "a.example", "trafficPolicy": {**({"tls": tls} if tls else {}), **ports}, **more})

    simple, ca = {"mode": "SIMPLE"}, {"mode": "SIMPLE", "caCertificates": "/ca.pem"}
    mutual = {"mode": "MUTUAL", "clientCertificate": "/c", "privateKey": "/k"}
    named = {"mode": "SIMPLE", "credentialName": "x"}
    report = lint(docs(
        rule("simple", simple), rule("mutual", mutual), rule("ca", ca, ca), rule("istio", {"mode": "ISTIO_MUTUAL"}), rule("port", ca, simple), rule("both", mutual, simple),
        rule("named", named), rule("selected", named, workloadSelector={"matchLabels": {"a": "b"}}),
    ))
    assert found(report, "IST0128") == {"default/simple", "default/mutual", "default/both", "default/named"}
    assert found(report, "IST0129") == {"default/port", "default/both"}
