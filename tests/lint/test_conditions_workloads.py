"""When rules about workloads, policies, filters and injection fire: the conditions of istioctl's analyzers.

Each test names the analyzer of istio/istio pkg/config/analysis/analyzers it follows; the configuration is our own.
"""

import json

import pytest
from lint_calls import docs, found, k8s, lint, pod

SECURITY, TELEMETRY = "security.istio.io/v1", "telemetry.istio.io/v1"


def config_map(name, **data):
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "istio-system"}, "data": data})


def labelled(name, **labels):
    return k8s("Namespace", name, None, group="v1", labels=labels)


APP = {"containers": [{"name": "app", "image": "app"}]}


def test_injection():  # injection/injection.go
    def plain(name, space, labels=None, annotations=None, **spec):
        return k8s("Pod", name, space, {**APP, **spec}, group="v1", labels=labels or {}, annotations=annotations or {})

    inject = "sidecar.istio.io/inject"
    report = lint(docs(
        labelled("on", **{"istio-injection": "enabled"}), labelled("off", **{"istio-injection": "disabled"}), labelled("none"), labelled("rev", **{"istio.io/rev": "canary"}),
        labelled("two", **{"istio-injection": "enabled", "istio.io/rev": "canary"}), labelled("ambient", **{"istio.io/dataplane-mode": "ambient"}),
        labelled("mixed", **{"istio-injection": "enabled", "istio.io/dataplane-mode": "ambient"}), labelled("kube-system"), labelled("istio-system"),
        pod("with", "on"), pod("native", "on", containers=APP["containers"], initContainers=[{"name": "istio-proxy", "image": "p", "restartPolicy": "Always"}]),
        plain("without", "on"), plain("without", "rev"), plain("without", "none"), plain("out", "on", {inject: "false"}), plain("out2", "on", None, {inject: "false"}),
        plain("label-wins", "on", {inject: "false"}, {inject: "true"}), plain("host", "on", hostNetwork=True),
    ))
    assert found(report, "IST0102") == {"none"}
    assert found(report, "IST0103") == {"on/without", "rev/without"}
    assert found(report, "IST0123") == {"two", "mixed"}
    default = config_map("istio-sidecar-injector", values='{"sidecarInjectorWebhook": {"enableNamespacesByDefault": true}}')
    report = lint(docs(default, labelled("none"), labelled("off", **{"istio-injection": "disabled"})))
    assert found(report, "IST0148") == {"none"} and not found(report, "IST0102")


def test_images_of_sidecars():  # injection/injection-image.go
    values = '{"global": {"hub": "hub.example", "tag": "1.30", "proxy": {"image": "%s"}}}'
    report = lint(docs(
        config_map("istio-sidecar-injector", values=values % "proxyv2"), config_map("istio-sidecar-injector-canary", values=values % "hub.example/other:2"),
        labelled("new", **{"istio-injection": "enabled"}), labelled("old", **{"istio-injection": "enabled"}), labelled("canary", **{"istio.io/rev": "canary"}),
        labelled("elsewhere", **{"istio.io/rev": "gone"}), labelled("off"),
        pod("a", "new", image="hub.example/proxyv2:1.30"), pod("b", "new", image="hub.example/proxyv2:1.30-distroless"), pod("a", "old", image="hub.example/proxyv2:1.29"),
        pod("c", "new", image="mine", annotations={"sidecar.istio.io/proxyImage": "mine"}), pod("a", "canary", image="hub.example/proxyv2:1.30"),
        pod("a", "elsewhere", image="x"), pod("a", "off", image="x"),
    ))
    assert found(report, "IST0158") == {"old", "canary"}


def test_image_auto():  # injection/image-auto.go
    def deployment(name, space, **labels):
        template = {"metadata": {"labels": {"app": "g", **labels}}, "spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]}}
        return k8s("Deployment", name, space, {"selector": {"matchLabels": {"app": "g"}}, "template": template}, group="apps/v1")

    hooks = [
        {"name": "namespace.sidecar-injector.istio.io", "namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}}},
        {"name": "object.sidecar-injector.istio.io", "objectSelector": {"matchExpressions": [{"key": "sidecar.istio.io/inject", "operator": "In", "values": ["true"]}]}},
    ]
    hook = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "x"}, "webhooks": hooks}
    report = lint(docs(
        json.dumps(hook), labelled("on", **{"istio-injection": "enabled"}), labelled("off"),
        deployment("a", "on"), deployment("b", "off"), deployment("c", "off", **{"sidecar.istio.io/inject": "true"}), pod("p", "on", image="auto"),
    ))
    assert found(report, "IST0146") == {"off/b"}
    assert found(report, "IST0147") == {"on/p"}
    unknown = lint(deployment("b", "somewhere"))
    assert [one.level.value for one in unknown.findings if one.code == "GW0437"] == ["info"], "the namespace is not in the input"


def test_authorization_policies():  # authz/authorizationpolicies.go
    def policy(name, space, labels=None, namespaces=None, denied=None, **more):
        source = {**({"namespaces": namespaces} if namespaces else {}), **({"notNamespaces": denied} if denied else {})}
        spec = {**({"selector": {"matchLabels": labels}} if labels else {}), **({"rules": [{"from": [{"source": source}]}]} if source else {}), **more}
        return k8s("AuthorizationPolicy", name, space, spec, group=SECURITY)

    report = lint(docs(
        labelled("shop", **{"istio-injection": "enabled"}), labelled("shop-test"), labelled("off"), labelled("amb", **{"istio.io/dataplane-mode": "ambient"}),
        k8s("Pod", "p", "shop", APP, group="v1", labels={"app": "cart"}), k8s("Pod", "q", "off", APP, group="v1", labels={"app": "lone"}),
        k8s("Pod", "z", "amb", APP, group="v1", labels={"app": "z"}, annotations={"ambient.istio.io/redirection": "enabled"}),
        policy("ok", "shop", {"app": "cart"}, ["shop", "sh*", "*-test", "*"]), policy("whole", "shop"), policy("root", "istio-system"), policy("root-cart", "istio-system", {"app": "cart"}),
        policy("ambient", "amb", {"app": "z"}), policy("target", "nowhere", targetRefs=[{"group": "", "kind": "Service", "name": "x"}]),
        policy("no-pods", "shop", {"app": "cat"}), policy("root-none", "istio-system", {"app": "cat"}), policy("empty", "nowhere"), policy("outside-mesh", "off", {"app": "lone"}),
        policy("bad-namespace", "shop", {"app": "cart"}, ["shpo"]), policy("bad-pattern", "shop", {"app": "cart"}, None, ["*-prod", "x*"]),
    ))
    assert found(report, "IST0127") == {"shop/no-pods", "istio-system/root-none", "nowhere/empty", "off/outside-mesh"}
    assert found(report, "IST0101") == {"shop/bad-namespace", "shop/bad-pattern"}
    assert sum(one.object_ref.startswith("AuthorizationPolicy/shop/bad-pattern") for one in report.findings if one.code == "GW0403") == 2


def test_custom_policies_name_a_provider_of_the_mesh():
    mesh = config_map("istio", mesh="extensionProviders: [{name: opa, envoyExtAuthzGrpc: {service: a.b, port: 1, timeout: 1s}}]")
    policies = [k8s("AuthorizationPolicy", name, "istio-system", {"action": "CUSTOM", "provider": {"name": name}, "rules": [{}]}, group=SECURITY) for name in ("opa", "poa")]
    assert found(lint(docs(mesh, *policies)), "IST0101") == {"istio-system/poa"}
    assert not found(lint(docs(*policies)), "IST0101"), "without the mesh config nothing is known of providers"


@pytest.mark.parametrize(
    ("kind", "group", "field", "labels", "both", "none"),
    [("Sidecar", "networking.istio.io/v1", "workloadSelector", "labels", "IST0110", "IST0111"), ("Telemetry", TELEMETRY, "selector", "matchLabels", "IST0159", "IST0160")],
)
def test_selectors_of_sidecars_and_telemetries(kind, group, field, labels, both, none):  # sidecar/selector.go, telemetry/selector.go
    body = {"egress": [{"hosts": ["./*"]}]} if kind == "Sidecar" else {"metrics": [{"providers": [{"name": "prometheus"}]}]}

    def one(name, space, **selector):
        return k8s(kind, name, space, {**({field: {labels: selector}} if selector else {}), **body}, group=group)

    report = lint(docs(
        pod("a", "shop", {"app": "a", "tier": "web"}), pod("b", "shop", {"app": "b"}), pod("c", "other", {"app": "c"}),
        one("first", "shop", app="a"), one("second", "shop", tier="web"), one("alone", "shop", app="b"), one("missing", "shop", app="x"), one("elsewhere", "shop", app="c"),
        one("default", "shop"), one("one", "other"), one("two", "other"),
    ))
    assert found(report, both) == {"shop/first", "shop/second"}
    assert found(report, none) == {"other/one", "other/two"}
    assert found(report, "IST0101") == {"shop/missing", "shop/elsewhere"}


def test_policies_on_gateways_and_ambient_sidecars():  # k8sgateway/workloadselector.go, sidecar/selector.go
    label = {"gateway.networking.k8s.io/gateway-name": "web"}
    kinds = [("AuthorizationPolicy", SECURITY, {}), ("RequestAuthentication", SECURITY, {}), ("Telemetry", TELEMETRY, {}), ("WasmPlugin", "extensions.istio.io/v1alpha1", {"url": "oci://x"})]
    selected = [k8s(kind, "s", "shop", {"selector": {"matchLabels": label}, **more}, group=group) for kind, group, more in kinds]
    targeted = [k8s(kind, "t", "shop", {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "web"}], **more}, group=group) for kind, group, more in kinds]
    report = lint(docs(pod("g", "shop", label), *selected, *targeted))
    assert found(report, "IST0166") == {"shop/s"}
    assert sum(one.code == "GW0410" for one in report.findings) == 4
    ambient = {"istio.io/dataplane-mode": "ambient"}
    report = lint(docs(
        labelled("amb", **ambient), labelled("side", **ambient, **{"istio-injection": "enabled"}), labelled("rev", **ambient, **{"istio.io/rev": "x"}),
        k8s("Pod", "p", "amb", APP, group="v1", labels={"app": "p"}, annotations={"ambient.istio.io/redirection": "enabled"}),
        k8s("Sidecar", "whole", "amb"), k8s("Sidecar", "one", "amb", {"workloadSelector": {"labels": {"app": "p"}}}), k8s("Sidecar", "no", "side"), k8s("Sidecar", "nor", "rev"),
    ))
    assert found(report, "IST0167") == {"amb/whole", "amb/one"}


def patch(apply_to, operation, version=None, name="x", **match):
    proxy = {"proxy": {"proxyVersion": version}} if version else {}
    return {"applyTo": apply_to, "match": {"context": "GATEWAY", **proxy, **match}, "patch": {"operation": operation, "value": {"name": name}}}


def test_envoy_filters():  # envoyfilter/envoyfilter.go
    def filter_(name, *patches, priority=None):
        return k8s("EnvoyFilter", name, "shop", {"configPatches": list(patches), **({"priority": priority} if priority else {})}, group="networking.istio.io/v1alpha3")

    report = lint(docs(
        filter_("before", patch("HTTP_FILTER", "INSERT_BEFORE")), filter_("after", patch("HTTP_FILTER", "INSERT_AFTER")), filter_("remove", patch("HTTP_FILTER", "REMOVE")),
        filter_("replace", patch("NETWORK_FILTER", "REPLACE")), filter_("first", patch("HTTP_FILTER", "INSERT_FIRST")), filter_("add", patch("CLUSTER", "ADD")),
        filter_("set", patch("HTTP_FILTER", "INSERT_BEFORE"), priority=5), filter_("merge", patch("NETWORK_FILTER", "MERGE")),
        filter_("versioned", patch("HTTP_FILTER", "INSERT_FIRST", r"^1\.2.*", name="lua")), filter_("on-versioned", patch("HTTP_FILTER", "INSERT_AFTER", name="lua")),
        filter_("replace-cluster", patch("CLUSTER", "REPLACE")), filter_("add-route", patch("HTTP_ROUTE", "ADD")), filter_("add-config", patch("ROUTE_CONFIGURATION", "ADD")),
        filter_("remove-route", patch("HTTP_ROUTE", "REMOVE")), filter_("replace-host", patch("VIRTUAL_HOST", "REPLACE"), priority=5),
    ))
    assert found(report, "IST0151") == {f"shop/{name}" for name in ("before", "after", "remove", "replace")}
    assert found(report, "IST0155") == {"shop/on-versioned"}
    assert found(report, "IST0152") == {"shop/replace-cluster"}
    assert found(report, "IST0153") == {"shop/add-route", "shop/add-config"}
    assert found(report, "IST0154") == {"shop/remove-route"}


def test_ports_and_their_names():  # service/portname.go, deployment/services.go
    def svc(name, space="shop", kind=None, *ports, **labels):
        spec = {"ports": list(ports), "selector": {"app": "a"}, **({"type": kind, "externalName": "x.example"} if kind else {})}
        return k8s("Service", name, space, spec, group="v1", labels=labels)

    report = lint(docs(
        svc("named", "shop", None, {"name": "http", "port": 80}, {"name": "grpc-web-x", "port": 81}, {"name": "tcp-x", "port": 82}),
        svc("app-protocol", "shop", None, {"name": "x", "port": 80, "appProtocol": "kubernetes.io/h2c"}), svc("hbone", "shop", None, {"name": "mesh", "port": 15008, "appProtocol": "hbone"}),
        svc("udp", "shop", None, {"name": "x", "port": 80, "protocol": "UDP"}), svc("well-known", "shop", None, {"name": "db", "port": 3306}),
        svc("system", "kube-system", None, {"name": "x", "port": 80}), svc("pilot", "istio-system", None, {"name": "x", "port": 80}, istio="pilot"),
        svc("unnamed", "shop", None, {"port": 80}), svc("odd", "shop", None, {"name": "web", "port": 80}), svc("httpx", "shop", None, {"name": "httpx-a", "port": 80}),
        svc("out-good", "shop", "ExternalName", {"name": "https-x", "port": 443}), svc("out-odd", "shop", "ExternalName", {"name": "x", "port": 443}),
        svc("out-tcp", "shop", "ExternalName", {"name": "tcp", "port": 443}), svc("out-unnamed", "shop", "ExternalName", {"port": 443}),
    ))
    assert found(report, "IST0118") == {"shop/unnamed", "shop/odd", "shop/httpx"}
    assert found(report, "IST0150") == {"shop/out-odd", "shop/out-tcp", "shop/out-unnamed"}


def test_addresses_and_protocols_of_service_entries():  # serviceentry/*.go
    def entry(name, host, *ports, space="shop", status=None, **spec):
        ports = [{"number": number, "name": f"p{number}", **({"protocol": protocol} if protocol else {})} for number, protocol in ports]
        written = json.loads(k8s("ServiceEntry", name, space, {"hosts": [host], "resolution": "DNS", "ports": ports, **spec}))
        return json.dumps(written | ({"status": status} if status else {}))

    entries = (
        entry("tcp", "a.x", (1, "TCP")), entry("lower", "b.x", (1, "tcp")), entry("unset", "c.x", (1, None)), entry("http", "d.x", (1, "HTTP")), entry("given", "e.x", (1, "TCP"), addresses=["192.0.2.1"]),
        entry("allocated", "f.x", (1, "TCP"), status={"addresses": [{"value": "240.240.0.1"}]}),
    )
    assert found(lint(docs(*entries)), "IST0134") == {"shop/tcp", "shop/lower", "shop/unset"}
    mesh = "defaultConfig:\n  proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'%s}\n"
    assert found(lint(docs(*entries, mesh % "")), "IST0134") == {"shop/tcp", "shop/lower", "shop/unset"}
    report = lint(docs(*entries, mesh % ", ISTIO_META_DNS_AUTO_ALLOCATE: 'true'"))
    assert not report.findings, "mesh configuration may stand in a document of its own"
    report = lint(docs(
        entry("a", "same.x", (80, "HTTP")), entry("b", "same.x", (80, "TLS"), space="lab"), entry("c", "own.x", (80, "HTTP"), exportTo=["."]), entry("d", "own.x", (80, "TLS"), space="lab", exportTo=["."]),
        entry("e", "case.x", (80, "HTTP")), entry("f", "case.x", (80, "http"), space="lab"), entry("g", "seen.x", (80, "HTTP")), entry("h", "seen.x", (80, "GRPC"), space="lab", exportTo=["lab"]),
    ))
    assert found(report, "IST0177") == {"shop/a", "lab/b", "shop/g", "lab/h"}


def test_annotations_on_four_kinds_only():  # annotations/annotations.go, maturity/maturity.go
    def one(kind, name, **annotations):
        group = "apps/v1" if kind == "Deployment" else "v1"
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": APP}} if kind == "Deployment" else APP if kind == "Pod" else {"ports": [{"name": "http", "port": 80}]}
        return k8s(kind, name, None if kind == "Namespace" else "shop", None if kind == "Namespace" else spec, group=group, annotations=annotations)

    report = lint(docs(
        one("Service", "unknown", **{"networking.istio.io/exportThree": "x", "networking.istio.io/exportTo": "y", "example.com/istio": "z"}),
        one("Pod", "invalid", **{"readiness.status.sidecar.istio.io/periodSeconds": "x", "readiness.status.sidecar.istio.io/failureThreshold": "3"}),
        one("Pod", "misplaced", **{"kubernetes.io/ingress.class": "istio"}), one("Namespace", "space", **{"kubernetes.io/ingress.class": "istio"}),
        one("Deployment", "template", **{"sidecar.istio.io/statsInclusionPrefixes": "x"}),
    ))
    assert found(report, "IST0108") == {"shop/unknown"}
    assert found(report, "IST0125") == {"shop/invalid"}
    assert found(report, "IST0107") == {"shop/misplaced", "space", "shop/template"}
    assert found(report, "IST0135") == {"shop/template"}
    assert not found(report, "IST0136"), "only on request"
    assert found(lint(one("Pod", "p", **{"sidecar.istio.io/proxyCPU": "1"}), select="IST0136"), "IST0136") == {"shop/p"}
