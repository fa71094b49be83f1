"""Files, folders, standard input, broken input: everything is collected, nothing is raised."""

import io
import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gwsim.diagnostics import CODES, Collector, Level
from gwsim.errors import InputError, UsageError
from gwsim.resources import read, read_text

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n"
GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [shop.example]
"""


def names_of(collector):
    return [(CODES[f.code].name, str(f.span)) for f in collector]


def test_a_folder_is_read_in_order_and_deep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "istio" / "b").mkdir(parents=True)
    (tmp_path / "istio" / ".git").mkdir()
    (tmp_path / "istio" / "z.yaml").write_text(NAMESPACE % "z")
    (tmp_path / "istio" / "b" / "a.yml").write_text(NAMESPACE % "ba")
    (tmp_path / "istio" / "b" / "c.json").write_text(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bc"}}))
    (tmp_path / "istio" / "README.md").write_text("no: yaml: here")
    (tmp_path / "istio" / ".git" / "x.yaml").write_text("][")
    (tmp_path / "istio" / "scenario.yaml").write_text("apiVersion: gwsim/v1\nquestion: why?\n")
    collector = Collector()
    objects = read(["istio", "istio/z.yaml"], collector=collector)
    assert [o.name for o in objects.all] == ["ba", "bc", "z"]
    assert objects.all[2].span.file == "istio/z.yaml"
    assert not list(collector)


def test_standard_input():
    for stream in (io.StringIO(GATEWAY), io.BytesIO(GATEWAY.encode())):
        collector = Collector()
        (gateway,) = read(["-"], collector=collector, stdin=stream).gateways
        assert gateway.span.file == "<stdin>"
        assert not list(collector)


def test_a_broken_file_does_not_hide_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("a: [1\n")
    (tmp_path / "b.yaml").write_text(GATEWAY.replace("number: 80", "number: eighty"))
    (tmp_path / "c.yaml").write_bytes(b"a: \xff\xfe\n")
    (tmp_path / "d.yaml").write_text(NAMESPACE % "d")
    collector = Collector()
    objects = read(["a.yaml", "b.yaml", "c.yaml", "missing.yaml", "d.yaml"], collector=collector)
    assert [o.name for o in objects.namespaces] == ["d"]
    assert names_of(collector) == [
        ("YAML_SYNTAX", "a.yaml:2:1"),
        ("WRONG_TYPE", "b.yaml:7:20"),
        ("FILE_MISSING", "c.yaml:1"),
        ("FILE_MISSING", "missing.yaml"),
    ]


def test_a_broken_document_does_not_hide_the_next(load):
    objects, collector = load("a: [\n---\n" + NAMESPACE % "shop")
    assert [o.name for o in objects.all] == ["shop"]
    assert objects.all[0].span.line == 3
    assert names_of(collector)[0][0] == "YAML_SYNTAX"


@pytest.mark.parametrize("text", ["", "\n\n", "---\n---\n", "# only a comment\n", "null\n"])
def test_empty_input_is_told(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    collector = Collector()
    assert len(read([tmp_path / "a.yaml"], collector=collector)) == 0
    assert [CODES[f.code].name for f in collector] == ["EMPTY_INPUT"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "%YAML 1.1\n---\n" + text + "...\n",
        lambda text: json.dumps(yaml.safe_load(text)),
        lambda text: json.dumps(yaml.safe_load(text), indent="\t"),
        lambda text: json.dumps({"kind": "GatewayList", "apiVersion": "networking.istio.io/v1", "items": [yaml.safe_load(text)]}),
    ],
)
def test_shapes_of_the_same_gateway(load, change):
    objects, collector = load(change(GATEWAY))
    assert objects.gateways[0].servers[0].hosts == ("shop.example",)
    assert not list(collector)


def test_utf_16_is_read(tmp_path):
    (tmp_path / "a.yaml").write_bytes(GATEWAY.encode("utf-16"))
    collector = Collector()
    assert len(read([tmp_path / "a.yaml"], collector=collector)) == 1


def test_json_with_surrogate_pairs(load):
    objects, collector = load('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "annotations": {"x": "\\ud83d\\ude00"}}}')
    assert objects.all[0].meta.annotations == {"x": "\U0001f600"}
    assert not list(collector)


def test_anchors_aliases_and_merge_keys(load):
    objects, collector = load(
        """\
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: a}
        spec:
          hosts: [a.example]
          gateways: [gw]
          http:
          - match: [{uri: {prefix: /a}}]
            route: &route [{destination: {host: a}}]
            retries: &retries {attempts: 2, perTryTimeout: 1s}
          - route: *route
            retries: {<<: *retries, attempts: 5}
        """
    )
    assert not list(collector)
    http = objects.virtual_services[0].http
    assert http[0].route == http[1].route
    assert (http[1].retries.attempts, http[1].retries.per_try_timeout_s) == (5, 1.0)
    assert objects.virtual_services[0].span_of("http[1].retries.perTryTimeout").line == 10


def test_yaml_1_1_booleans_do_not_bite(load):
    objects, collector = load(
        """\
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, labels: {on: yes, y: off, no: "true"}}
        """
    )
    assert objects.all[0].meta.labels == {"on": "yes", "y": "off", "no": "true"}
    assert not list(collector)


def test_a_key_given_twice_is_an_error(findings):
    assert findings(GATEWAY + "    hosts: [other.example]\n") == [("DUPLICATE_KEY", 9, "")]


def test_an_object_given_twice_is_an_error(load):
    objects, collector = load(GATEWAY + "---\n" + GATEWAY)
    assert [one.span.line for one in objects] == [10], "the later one stays, as with kubectl apply"
    (finding,) = collector
    assert finding.message == "Gateway/shop/public is defined twice, first at t.yaml:1:1"
    assert finding.span.line == 10


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "- " * 200_000 + "x",
        "{a: " * 100_000,
        "a: &x [*x]",
        "a: &x {b: *x}",
        "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i + 1}: &a{i + 1} [{','.join([f'*a{i}'] * 9)}]\n" for i in range(12)),
    ],
    ids=["brackets", "dashes", "braces", "cycle", "cycle in a mapping", "billion laughs"],
)
def test_bombs_are_refused(text):
    collector = Collector()
    read_text("apiVersion: v1\nkind: Namespace\nspec:\n---\n" + text, collector=collector)
    assert "TOO_LARGE" in [CODES[f.code].name for f in collector]


def test_kinds_that_are_not_read_are_told_once(load):
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: %s}\n"
    other = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\n"
    objects, collector = load("---\n".join([role % "a", role % "b", other]))
    assert len(objects) == 0
    assert [f.message for f in collector] == [
        "2 objects of kind Role (rbac.authorization.k8s.io) are not read",
        "1 object of kind Thing (example.com) is not read",
    ]
    assert all(f.level is Level.INFO for f in collector)


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("kind: Gateway\nmetadata: {name: a}\n", "this document is not a Kubernetes object: apiVersion missing", None),
        ("replicas: 3\n", "this document is not a Kubernetes object: apiVersion and kind missing", None),
        ("just text\n", "this document is not a Kubernetes object: a Kubernetes object begins with apiVersion, kind and metadata", None),
        ("apiVersion: networking.istio.io/v1\nkind: VirtualSevice\n", "networking.istio.io has no kind 'VirtualSevice'", "did you mean VirtualService?"),
        (
            "apiVersion: networking.istio.io/v2\nkind: Gateway\n",
            "Gateway has no version 'v2'",
            "write one of networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3",
        ),
        ("apiVersion: v1\nkind: Namespace\n", "metadata is missing", None),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {}\n", "name is missing", None),
        ("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\n", "spec is missing", None),
    ],
)
def test_documents_that_are_no_objects(load, text, message, help):
    objects, collector = load(text)
    assert len(objects) == 0
    assert [(f.message, f.help, f.level) for f in collector] == [(message, help, Level.ERROR)]


def test_a_text_without_a_collector_raises():
    with pytest.raises(InputError, match=r"t\.yaml:1:1: this document is not a Kubernetes object") as caught:
        read_text("apiVersion: v1\n", "t.yaml")
    assert len(caught.value.findings) == 1


def test_the_way_of_taking_unknown_fields_is_checked():
    with pytest.raises(UsageError, match="write warn or error"):
        read([], collector=Collector(), unknown_fields="ignore")


def test_gc_is_as_before():
    import gc

    assert gc.isenabled()
    read(["-"], collector=Collector(), stdin=io.StringIO(GATEWAY))
    assert gc.isenabled()


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_findings_at_most(text):
    read_text(text, collector=Collector())


_leaf = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["5s", "*", "HTTP", "80", "-1"]))
_tree = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["number", "port", "x", "host"]) | st.text(max_size=3), inner, max_size=3), max_leaves=6
)


def _paths(node, path=()):
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield from _paths(value, (*path, key))


def _replaced(node, path, value):
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = _replaced(node[path[0]], path[1:], value)
    return copy


_WHOLE = list(
    yaml.safe_load_all(
        GATEWAY
        + """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, labels: {a: b}}
spec:
  hosts: [a.example]
  gateways: [shop/public]
  http:
  - match: [{uri: {regex: "/a.*"}, headers: {x: {exact: y}}, port: 80}]
    route: [{destination: {host: a, port: {number: 80}}, weight: 1}, {destination: {host: b}, weight: 3}]
    timeout: 5s
    retries: {attempts: 2, retryOn: 5xx}
    fault: {delay: {fixedDelay: 1s, percentage: {value: 5}}}
  - redirect: {uri: /b, redirectCode: 302}
  - directResponse: {status: 200, body: {string: hello}}
  tls: [{match: [{sniHosts: [a.example]}], route: [{destination: {host: a}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}}
    loadBalancer: {consistentHash: {maglev: {tableSize: 65537}, httpCookie: {name: c, ttl: 0s}}, localityLbSetting: {distribute: [{from: a, to: {b: 100}}]}}
    outlierDetection: {consecutive5xxErrors: 5, interval: 1s}
  subsets: [{name: v1, labels: {a: b}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec: {hosts: [x.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {tls: 8443}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  replicas: 2
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: c, env: [{name: X, value: y}], resources: {requests: {cpu: 100m}, limits: {cpu: 1}}}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: a}
spec:
  scaleTargetRef: {kind: Deployment, name: a}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: v1
kind: Secret
metadata: {name: a}
type: kubernetes.io/tls
data: {tls.crt: MTIz, tls.key: MTIz}
"""
    )
)
_PATHS = [(index, path) for index, document in enumerate(_WHOLE) for path in _paths(document)]


def test_the_seed_of_the_fuzzing_is_well_formed():
    collector = Collector()
    assert len(read_text(yaml.safe_dump_all(_WHOLE), collector=collector)) == len(_WHOLE)
    assert not collector.has_errors and not collector.warnings


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(_PATHS), _tree)
def test_any_value_anywhere_gives_findings_at_most(place, value):
    index, path = place
    text = yaml.safe_dump(_replaced(_WHOLE[index], path, value))
    objects = read_text(text, collector=Collector())
    for resource in objects.all:
        assert resource.span.line == 1


_TEXT = yaml.safe_dump_all(_WHOLE)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(_TEXT)), st.integers(0, 40), st.text(max_size=4))
def test_any_edit_of_the_text_gives_findings_at_most(at, length, inserted):
    read_text(_TEXT[:at] + inserted + _TEXT[at + length :], collector=Collector())


@pytest.mark.parametrize("text", ["a: *x\n  b: c: d\n", "a: *x\n b: c: d\n---\nkind: Service\n"])
def test_what_cannot_be_parsed_after_a_refused_alias(text):
    collector = Collector()
    read_text(text, "x.yaml", collector=collector)
    assert "alias *x has no anchor" in collector.errors[0].message
