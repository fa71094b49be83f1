"""What a well-formed object looks like once read."""

import pickle

import pytest

from gwsim.diagnostics import CODES
from gwsim.resources import models, read_text

SHOP = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: cart
  namespace: shop
  labels: {app.kubernetes.io/name: cart}
spec:
  hosts: [shop.example]
  gateways: [istio-system/public]
  http:
  - name: checkout
    match:
    - uri: {prefix: /checkout}
      headers: {x-canary: {exact: "on"}}
      method: {exact: POST}
    route:
    - destination: {host: checkout, port: {number: 8080}, subset: v1}
      weight: 90
    - destination: {host: checkout, subset: v2}
      weight: 10
    timeout: 1.5s
    retries: {attempts: 3, per_try_timeout: 400ms, retryOn: "5xx,connect-failure"}
    rewrite: {uri: /}
  - redirect: {authority: www.shop.example, redirectCode: 308}
"""


def test_a_virtual_service():
    (service,) = read_text(SHOP).virtual_services
    assert service.ref == "VirtualService/shop/cart"
    assert service.hosts == ("shop.example",)
    assert service.gateways == ("istio-system/public",)
    route, redirect = service.http
    assert route.match[0].uri == models.StringMatch(prefix="/checkout")
    assert route.match[0].headers == {"x-canary": models.StringMatch(exact="on")}
    assert [part.weight for part in route.route] == [90, 10]
    assert route.route[0].destination == models.Destination(host="checkout", subset="v1", port=models.PortSelector(number=8080))
    assert route.timeout_s == 1.5
    assert route.retries == models.HTTPRetry(attempts=3, per_try_timeout_s=0.4, retry_on="5xx,connect-failure")
    assert redirect.redirect.redirect_code == 308
    assert redirect.timeout_s is None and redirect.retries is None


@pytest.mark.parametrize(
    ("path", "line", "column", "text"),
    [
        ("http[0].route[1].weight", 20, 7, "weight: 10"),
        ("http[0].timeout", 21, 5, "timeout: 1.5s"),
        ("http[0].retries.perTryTimeout", 22, 28, "retries:"),
        ("http[0].retries.per_try_timeout", 22, 28, "retries:"),
        ("http[1]", 24, 5, "- redirect:"),
        ("http[7].route", 10, 3, "http:"),
        ("spec.hosts[0]", 8, 11, "hosts:"),
        ("metadata.name", 4, 3, "name: cart"),
        ('metadata.labels["app.kubernetes.io/name"]', 6, 12, "labels:"),
        ("nonsense", 7, 1, "spec:"),
    ],
)
def test_every_field_has_a_place(path, line, column, text):
    (service,) = read_text("---\n" + SHOP, "a/cart.yaml").all
    span = service.span_of(path)
    assert (span.file, span.line, span.column) == ("a/cart.yaml", line + 1, column)
    assert span.text.strip().startswith(text)


def test_a_list_of_kubectl_keeps_places():
    indented = "".join(f"  {line}" if line.strip() else line for line in SHOP.splitlines(keepends=True))
    text = "apiVersion: v1\nkind: List\nitems:\n-" + indented[1:]
    (service,) = read_text(text).all
    assert (service.span.line, service.span.column) == (4, 3)
    assert service.span_of("http[0].route[1].weight").line == 23
    assert service.span_of("http[0].route[1].weight").column == 9
    assert service.span_of("http[0].route[1].weight").text.strip() == "weight: 10"


def test_a_gateway_with_defaults():
    text = """
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: public}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["*.example.com", "shop/www.example.com"]
    tls: {mode: SIMPLE, credentialName: shop-cert}
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
    tls: {httpsRedirect: true}
"""
    (gateway,) = read_text(text).gateways
    assert gateway.meta.namespace == "default"
    assert gateway.selector == {"istio": "ingressgateway"}
    https, http = gateway.servers
    assert https.tls.mode == "SIMPLE" and https.tls.credential_name == "shop-cert"
    assert http.tls.https_redirect and http.tls.mode == "PASSTHROUGH"


def test_a_destination_rule():
    text = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 100, connectTimeout: 3s}
      http: {http1MaxPendingRequests: 64, http2MaxRequests: 1000, maxRetries: 3, maxRequestsPerConnection: 10}
    loadBalancer: {simple: ROUND_ROBIN}
    portLevelSettings:
    - port: {number: 8080}
      tls: {mode: ISTIO_MUTUAL}
  subsets:
  - {name: v1, labels: {version: v1}}
"""
    (rule,) = read_text(text).destination_rules
    pool = rule.traffic_policy.connection_pool
    assert (pool.tcp.max_connections, pool.tcp.connect_timeout_s) == (100, 3.0)
    assert (pool.http.http1_max_pending_requests, pool.http.http2_max_requests) == (64, 1000)
    assert rule.traffic_policy.load_balancer.simple == "ROUND_ROBIN"
    assert rule.traffic_policy.port_level_settings[0].tls.mode == "ISTIO_MUTUAL"
    assert rule.subsets[0].labels == {"version": "v1"}


def test_a_deployment_and_its_service():
    text = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: gw, namespace: istio-system}
spec:
  replicas: 3
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata: {labels: {istio: ingressgateway}, annotations: {proxy.istio.io/config: "concurrency: 4"}}
    spec:
      serviceAccountName: gw
      containers:
      - name: istio-proxy
        image: proxyv2:1.30.3
        env: [{name: ISTIO_META_IDLE_TIMEOUT, value: 5m}, {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
        resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {cpu: 2, memory: 1Gi, nvidia.com/gpu: 1}}
        readinessProbe: {httpGet: {path: /healthz/ready, port: 15021}}
---
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: istio-system}
spec:
  type: LoadBalancer
  selector: {istio: ingressgateway}
  ports:
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: https}
"""
    objects = read_text(text)
    (deployment,) = objects.deployments
    proxy = deployment.container("istio-proxy")
    assert deployment.replicas == 3 and deployment.labels == {"istio": "ingressgateway"}
    assert (proxy.resources.requests.cpu_cores, proxy.resources.limits.cpu_cores) == (0.1, 2.0)
    assert proxy.resources.limits.memory_bytes == 2.0**30
    assert proxy.env[0] == models.EnvVar(name="ISTIO_META_IDLE_TIMEOUT", value="5m")
    (service,) = objects.services
    assert [port.target_port for port in service.ports] == [8080, "https"]
    assert objects.get("Service", "istio-system", "gw") is service
    assert objects.get("Service", "default", "gw") is None


@pytest.mark.parametrize(
    ("version", "target"),
    [
        ("v2", "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]"),
        ("v2beta2", "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]"),
        ("v2beta1", "metrics: [{type: Resource, resource: {name: cpu, targetAverageUtilization: 70}}]"),
        ("v1", "targetCPUUtilizationPercentage: 70"),
    ],
)
def test_an_autoscaler_of_any_version(version, target):
    text = f"""
apiVersion: autoscaling/{version}
kind: HorizontalPodAutoscaler
metadata: {{name: gw, namespace: istio-system}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: gw}}
  minReplicas: 2
  maxReplicas: 5
  {target}
"""
    (autoscaler,) = read_text(text).autoscalers
    assert (autoscaler.min_replicas, autoscaler.max_replicas) == (2, 5)
    assert autoscaler.cpu_utilization_percent == 70
    assert autoscaler.scale_target_ref.name == "gw"


def test_an_autoscaler_without_metrics_scales_by_80_percent_cpu():
    text = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: gw}
spec: {scaleTargetRef: {kind: Deployment, name: gw}, maxReplicas: 5}
"""
    (autoscaler,) = read_text(text).autoscalers
    assert autoscaler.min_replicas == 1
    assert autoscaler.cpu_utilization_percent == 80


def test_a_namespace_has_no_namespace():
    objects = read_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n")
    assert objects.namespaces[0].meta.labels == {"istio-injection": "enabled"}
    assert objects.get("Namespace", "anything", "shop") is objects.namespaces[0]
    assert objects.namespaces[0].ref == "Namespace/shop"


def test_order_is_by_age_then_as_read():
    template = "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {0}{1}}}\n"
    times = [("c", ', creationTimestamp: "2024-02-01T00:00:00Z"'), ("b", ""), ("d", ', creationTimestamp: "2024-01-01T00:00:00Z"'), ("a", "")]
    objects = read_text("---\n".join(template.format(name, time) for name, time in times))
    assert [o.name for o in objects.all] == ["b", "a", "d", "c"]


def test_objects_survive_pickling():
    objects = pickle.loads(pickle.dumps(read_text(SHOP)))
    assert objects.virtual_services[0].http[0].timeout_s == 1.5
    assert objects.virtual_services[0].span_of("http[0].timeout").line == 21


def test_objects_cannot_be_changed():
    (service,) = read_text(SHOP).virtual_services
    with pytest.raises(AttributeError):
        service.hosts = ()


def test_valid_fields_without_effect_are_told_with_their_line(load):
    objects, collector = load(SHOP.replace("    timeout: 1.5s\n", "    timeout: 1.5s\n    corsPolicy: {maxAge: 24h}\n"))
    assert [(CODES[f.code].name, f.span.line, f.object_ref) for f in collector] == [
        ("NOT_MODELLED", 22, "VirtualService/shop/cart http[0].corsPolicy")
    ]
    assert objects.virtual_services[0].http[0].cors_policy.max_age_s == 86400.0
