"""What the API server or Istio's webhook would refuse is an error at the right place; what it takes is not."""

import textwrap

import pytest

from gwsim.diagnostics import Level


def vs(spec, hosts="[shop.example]", gateways="[istio-system/gw]"):
    head = f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec:\n  hosts: {hosts}\n  gateways: {gateways}\n"
    return head + textwrap.indent(textwrap.dedent(spec), "  ")


def rule(http):
    return vs("http:\n- " + textwrap.dedent(http).strip().replace("\n", "\n  ") + "\n")


def dr(policy):
    return f"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a}}\nspec:\n  host: a\n  trafficPolicy: {policy}\n"


def gw(server):
    return f"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: a}}\nspec:\n  servers:\n  - {server}\n"


def se(spec):
    return f"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: a}}\nspec: {spec}\n"


ROUTE = "route: [{destination: {host: a}}]"
PORT = "port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.example]"

REFUSED = [
    # unknown, misspelt and mistyped fields
    (rule(f"{ROUTE}\ntimeOut: 5s"), ("MISSPELT_FIELD", 9, "http[0].timeOut")),
    (rule(f"{ROUTE}\nretries: {{attempts: 1, perTryTimout: 1s}}"), ("MISSPELT_FIELD", 9, "http[0].retries.perTryTimout")),
    (rule(f"{ROUTE}\ntimeout: 5"), ("WRONG_TYPE", 9, "http[0].timeout")),
    (rule(f"{ROUTE}\ntimeout: 5 parsecs"), ("BAD_VALUE", 9, "http[0].timeout")),
    (rule(f"{ROUTE}\ntimeout: -5s"), ("BAD_VALUE", 9, "http[0].timeout")),
    (rule(f"{ROUTE}\ntimeout: 500us"), ("BAD_VALUE", 9, "http[0].timeout")),
    (rule("route: [{destination: {host: 8080}}]"), ("WRONG_TYPE", 8, "http[0].route[0].destination.host")),
    (rule("route: [{destination: {host: a, port: {number: '80'}}}]"), ("WRONG_TYPE", 8, "http[0].route[0].destination.port.number")),
    (rule("route: [{destination: {host: a, port: {number: 0}}}]"), ("BAD_VALUE", 8, "http[0].route[0].destination.port.number")),
    (rule("route: [{destination: {}}]"), ("MISSING_FIELD", 8, "http[0].route[0].destination.host")),
    (rule("route: {destination: {host: a}}"), ("WRONG_TYPE", 8, "http[0].route")),
    (rule("route: [{destination: {host: a}, weight: -1}]"), ("BAD_VALUE", 8, "http[0].route[0].weight")),
    (rule(f"{ROUTE}\nretries: 3"), ("WRONG_TYPE", 9, "http[0].retries")),
    (rule(f"match: [{{uri: {{prefix: /a}}, ignoreUriCase: 'true'}}]\n{ROUTE}"), ("WRONG_TYPE", 8, "http[0].match[0].ignoreUriCase")),
    (dr("{loadBalancer: {simple: ROUND_ROBBIN}}"), ("BAD_VALUE", 6, "trafficPolicy.loadBalancer.simple")),
    # VirtualService
    (rule("route: [{destination: {host: a}}, {destination: {host: b}}]"), ("BAD_VALUE", 8, "http[0].route")),
    (rule(f"{ROUTE}\nredirect: {{uri: /}}"), ("FIELD_CONFLICT", 9, "http[0].redirect")),
    (rule("directResponse: {status: 99}"), ("BAD_VALUE", 8, "http[0].directResponse.status")),
    (rule("redirect: {uri: /}\nrewrite: {uri: /b}"), ("FIELD_CONFLICT", 9, "http[0].rewrite")),
    (rule("redirect: {}"), ("MISSING_FIELD", 8, "http[0].redirect")),
    (rule("redirect: {uri: /, redirectCode: 200}"), ("BAD_VALUE", 8, "http[0].redirect.redirectCode")),
    (rule("timeout: 5s"), ("MISSING_FIELD", 8, "http[0]")),
    (rule("delegate: {name: b}\nroute: [{destination: {host: a}}]"), ("FIELD_CONFLICT", 9, "http[0].route")),
    (rule(f'match: [{{uri: {{regex: "a(b"}}}}]\n{ROUTE}'), ("BAD_VALUE", 8, "http[0].match[0].uri.regex")),
    (rule(f"match: [{{uri: {{regex: {'a' * 1025}}}}}]\n{ROUTE}"), ("BAD_VALUE", 8, "http[0].match[0].uri.regex")),
    (rule(f'match: [{{uri: {{regex: "(?=a)b"}}}}]\n{ROUTE}'), ("BAD_VALUE", 8, "http[0].match[0].uri.regex")),
    (rule(f"match: [{{uri: {{exact: a, prefix: b}}}}]\n{ROUTE}"), ("FIELD_CONFLICT", 8, "http[0].match[0].uri.prefix")),
    (rule(f"{ROUTE}\nretries: {{attempts: 1, retryOn: '5xx,conect-failure'}}"), ("BAD_VALUE", 9, "http[0].retries.retryOn")),
    (rule(f"{ROUTE}\nretries: {{perTryTimeout: 1s}}"), ("FIELD_CONFLICT", 9, "http[0].retries")),
    (rule(f"{ROUTE}\nfault: {{delay: {{fixedDelay: 0s}}}}"), ("BAD_VALUE", 9, "http[0].fault.delay.fixedDelay")),
    (rule(f"{ROUTE}\nmirror: {{host: b}}\nmirrorPercentage: {{value: 101}}"), ("BAD_VALUE", 10, "http[0].mirrorPercentage.value")),
    (rule("route: [{destination: {host: '*.b'}}]"), ("BAD_VALUE", 8, "http[0].route[0].destination.host")),
    (vs("http: []"), ("MISSING_FIELD", 4, "")),
    (vs(f"http: [{{{ROUTE}}}]", hosts="[]"), ("MISSING_FIELD", 5, "hosts")),
    (vs(f"http: [{{{ROUTE}}}]", hosts="[a.example, '*.example']"), ("FIELD_CONFLICT", 5, "hosts[1]")),
    (vs(f"http: [{{{ROUTE}}}]", hosts="['*']", gateways="[]"), ("BAD_VALUE", 5, "hosts[0]")),
    (vs(f"http: [{{{ROUTE}}}]", hosts="['a.*.example']"), ("BAD_VALUE", 5, "hosts[0]")),
    (vs(f"http: [{{{ROUTE}}}]", hosts="['shop.${DOMAIN}']"), ("BAD_VALUE", 5, "hosts[0]")),
    (vs(f"tls: [{{match: [{{sniHosts: [b.example]}}], {ROUTE}}}]"), ("BAD_VALUE", 7, "tls[0].match[0].sniHosts[0]")),
    (vs(f"tls: [{{{ROUTE}}}]"), ("MISSING_FIELD", 7, "tls[0].match")),
    (vs("tcp: [{match: [{port: 80}]}]"), ("MISSING_FIELD", 7, "tcp[0]")),
    # Gateway
    (gw("{port: {number: 80, protocol: HTTP}, hosts: [a.example]}"), ("MISSING_FIELD", 6, "servers[0].port.name")),
    (gw(f"{{{PORT}}}"), ("MISSING_FIELD", 6, "servers[0]")),
    (gw(f"{{{PORT}, tls: {{mode: SIMPLE}}}}"), ("MISSING_FIELD", 6, "servers[0].tls")),
    (gw(f"{{{PORT}, tls: {{mode: SIMPLE, credentialName: a, credentialNames: [b]}}}}"), ("FIELD_CONFLICT", 6, "servers[0].tls.credentialNames")),
    (gw(f"{{{PORT}, tls: {{mode: ISTIO_MUTUAL, credentialName: a}}}}"), ("FIELD_CONFLICT", 6, "servers[0].tls.credentialName")),
    (gw(f"{{{PORT}, tls: {{mode: MUTUAL, serverCertificate: a, privateKey: b}}}}"), ("MISSING_FIELD", 6, "servers[0].tls")),
    (gw(f"{{{PORT}, tls: {{mode: simple}}}}"), ("BAD_VALUE", 6, "servers[0].tls.mode")),
    (gw("{port: {number: 80, name: a, protocol: HTTP}, hosts: [a.example], tls: {mode: SIMPLE, credentialName: a}}"), ("FIELD_CONFLICT", 6, "servers[0].tls")),
    (gw("{port: {number: 80, name: a, protocol: TCP}, hosts: [a.example], tls: {mode: SIMPLE, credentialName: a}}"), ("FIELD_CONFLICT", 6, "servers[0].tls")),
    (gw("{port: {number: 80, name: a, protocol: HTPP}, hosts: [a.example]}"), ("BAD_VALUE", 6, "servers[0].port.protocol")),
    (gw("{port: {number: 80, name: a, protocol: HTTP}, hosts: []}"), ("MISSING_FIELD", 6, "servers[0].hosts")),
    (gw("{port: {number: 80, name: a, protocol: HTTP}, hosts: [a/b/c]}"), ("BAD_VALUE", 6, "servers[0].hosts[0]")),
    (gw("{port: {number: 80, name: a, protocol: HTTP, targetPort: 8080}, hosts: [a.example]}"), ("BAD_VALUE", 6, "servers[0].port.targetPort")),
    # DestinationRule
    (dr("{connectionPool: {}}"), ("MISSING_FIELD", 6, "trafficPolicy.connectionPool")),
    (dr("{connectionPool: {tcp: {maxConnections: -1}}}"), ("BAD_VALUE", 6, "trafficPolicy.connectionPool.tcp.maxConnections")),
    (dr("{connectionPool: {tcp: {connectTimeout: 0s}}}"), ("BAD_VALUE", 6, "trafficPolicy.connectionPool.tcp.connectTimeout")),
    (dr("{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}"), ("FIELD_CONFLICT", 6, "trafficPolicy.loadBalancer.consistentHash")),
    (dr("{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 100}}}}"), ("BAD_VALUE", 6, "trafficPolicy.loadBalancer.consistentHash.maglev.tableSize")),
    (dr("{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 50}}]}}}"), ("BAD_VALUE", 6, "trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to")),
    (dr("{outlierDetection: {maxEjectionPercent: 101}}"), ("BAD_VALUE", 6, "trafficPolicy.outlierDetection.maxEjectionPercent")),
    (dr("{tls: {mode: MUTUAL}}"), ("MISSING_FIELD", 6, "trafficPolicy.tls")),
    (dr("{tls: {mode: ISTIO_MUTUAL, credentialName: a}}"), ("FIELD_CONFLICT", 6, "trafficPolicy.tls.credentialName")),
    (dr("{portLevelSettings: [{tls: {mode: SIMPLE}}]}"), ("MISSING_FIELD", 6, "trafficPolicy.portLevelSettings[0].port")),
    (dr("{}\n  subsets: [{name: a}, {name: a}]"), ("BAD_VALUE", 7, "subsets[1].name")),
    # ServiceEntry
    (se("{hosts: []}"), ("MISSING_FIELD", 4, "hosts")),
    (se("{hosts: ['*']}"), ("BAD_VALUE", 4, "hosts[0]")),
    (se("{hosts: [a.b], endpoints: [{address: 1.2.3.4}]}"), ("FIELD_CONFLICT", 4, "endpoints")),
    (se("{hosts: [a.b], resolution: STATIC, endpoints: [{address: c.d}]}"), ("BAD_VALUE", 4, "endpoints[0].address")),
    (se("{hosts: ['*.b'], resolution: DNS}"), ("BAD_VALUE", 4, "resolution")),
    (se("{hosts: [a.b], resolution: DNS, ports: [{number: 80, name: a}, {number: 80, name: b}]}"), ("BAD_VALUE", 4, "ports[1].number")),
    # Kubernetes
    ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}, {port: 81, name: b}]}\n", ("MISSING_FIELD", 4, "ports[0]")),
    ("apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {version: 1}}\nspec: {ports: [{port: 80}]}\n", ("WRONG_TYPE", 3, "metadata.labels.version")),
    ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, tagetPort: 81}]}\n", ("MISSPELT_FIELD", 4, "ports[0].tagetPort")),
    (
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec: {scaleTargetRef: {kind: Deployment, name: a}, minReplicas: 3, maxReplicas: 2}\n",
        ("BAD_VALUE", 4, "minReplicas"),
    ),
    (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: c}}, spec: {containers: [{name: a}]}}\n",
        ("BAD_VALUE", 5, "selector"),
    ),
    (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, resources: {requests: {cpu: 1KB}}}]}}\n",
        ("BAD_VALUE", 6, "template.spec.containers[0].resources.requests.cpu"),
    ),
]


@pytest.mark.parametrize(("text", "finding"), REFUSED, ids=[f"{i}-{case[1][0]}-{case[1][2]}" for i, case in enumerate(REFUSED)])
def test_refused(findings, text, finding):
    assert findings(text, Level.ERROR) == [finding]


ACCEPTED = [
    rule("route: [{destination: {host: a}, weight: 0}]"),
    rule("route: [{destination: {host: a}, weight: 3}, {destination: {host: b}, weight: 4}]"),
    rule(f"{ROUTE}\ntimeout: 0s\nretries: {{attempts: 0}}"),
    rule(f"{ROUTE}\nretries: {{}}"),
    rule(f"{ROUTE}\nretries: {{attempts: 1, retryOn: '5xx, 503'}}"),
    rule(f"match: [{{headers: {{x: {{}}, y: {{regex: '*'}}}}}}]\n{ROUTE}"),
    rule("delegate: {name: b, namespace: c}"),
    rule("directResponse: {status: 404}"),
    rule("redirect: {derivePort: FROM_REQUEST_PORT, scheme: https}"),
    vs(f"http: [{{{ROUTE}}}]", hosts="['*']"),
    vs(f"http: [{{{ROUTE}}}]", hosts="[a.example, b.example, '*.c.example']"),
    vs(f"tls: [{{match: [{{sniHosts: [shop.example]}}], {ROUTE}}}]"),
    f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec: {{http: [{{{ROUTE}}}]}}\n",
    gw("{port: {number: 80, name: a, protocol: http}, hosts: ['./*', '*/a.example'], tls: {httpsRedirect: true}}"),
    gw(f"{{{PORT}, tls: {{mode: PASSTHROUGH}}}}"),
    gw(f"{{{PORT}, tls: {{mode: AUTO_PASSTHROUGH}}}}"),
    gw("{port: {number: 15443, name: a, protocol: TLS}, hosts: ['*.local'], tls: {mode: AUTO_PASSTHROUGH}}"),
    dr("{outlierDetection: {}}"),
    dr("{tls: {mode: SIMPLE}}"),
    dr("{loadBalancer: {warmup: {duration: 30s}}}"),
    se("{hosts: ['*.b'], ports: [{number: 443, name: tls, protocol: TLS}]}"),
    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: ExternalName, externalName: b.example}\n",
    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: None, selector: {a: b}}\n",
]


@pytest.mark.parametrize("text", ACCEPTED, ids=range(len(ACCEPTED)))
def test_accepted(findings, text):
    assert findings(text) == []


def test_several_problems_of_one_object_are_all_told(findings):
    text = rule("route: [{destination: {host: a}, weight: ten}]\ntimeout: 5\nretries: {attempts: 1, retryOn: foo}\nredirect: {uri: /}")
    assert findings(text) == [
        ("WRONG_TYPE", 8, "http[0].route[0].weight"),
        ("WRONG_TYPE", 9, "http[0].timeout"),
        ("BAD_VALUE", 10, "http[0].retries.retryOn"),
        ("FIELD_CONFLICT", 11, "http[0].redirect"),
    ]


def test_what_could_not_be_read_is_not_missed_as_well(findings):
    assert findings(rule("rout: [{destination: {host: a}}]")) == [("MISSPELT_FIELD", 8, "http[0].rout")]


def test_an_unknown_field_is_a_warning_or_as_asked_for(findings):
    text = rule(f"{ROUTE}\nsomethingElse: 1")
    assert findings(text, Level.WARNING) == [("UNKNOWN_FIELD", 9, "http[0].somethingElse")]
    assert findings(text, Level.ERROR, unknown_fields="error") == [("UNKNOWN_FIELD", 9, "http[0].somethingElse")]


def test_messages_say_what_would_be_right(load):
    _, collector = load(dr("{loadBalancer: {simple: ROUND_ROBBIN}}"))
    assert (collector.errors[0].message, collector.errors[0].help) == ("simple cannot be 'ROUND_ROBBIN'", "did you mean ROUND_ROBIN?")
    _, collector = load(rule(f"{ROUTE}\ntimeOut: 5s"))
    assert (collector.errors[0].message, collector.errors[0].help) == ("there is no field timeOut", "did you mean timeout?")
    _, collector = load(rule(f"{ROUTE}\ntimeout: 5"))
    assert (collector.errors[0].message, collector.errors[0].help) == (
        "timeout must be a duration with a unit, but is the number 5",
        "write 5s if seconds are meant",
    )
