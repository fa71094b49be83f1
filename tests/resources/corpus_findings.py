"""What is found in the corpus of real configuration, and why that is right: code, reason, files.

Each file is read and built by itself, so what it leaves to other files is missing.
"""

from __future__ import annotations

EXPECTED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "BACKEND_REFUSED",
        "backends of kind InferencePool, and mirrors to services that are not in the file",
        (
            "gateway-api/istio-conversion-http.yaml",
        ),
    ),
    (
        "BAD_VALUE",
        "a variable of a shell script or of kustomize stands where the value belongs",
        (
            "egress/istio-docs-egress-http-proxy.yaml",
            "ingress/istio-docs-telemetry-addons-http-1.yaml",
            "ingress/istio-docs-telemetry-addons-http-2.yaml",
            "ingress/istio-docs-telemetry-addons-https-grafana.yaml",
            "ingress/istio-docs-telemetry-addons-https-kiali.yaml",
            "ingress/kubeflow-pipelines-virtualservice.yaml",
            "ingress/kubeflow-profiles-virtualservice.yaml",
        ),
    ),
    (
        "CREDENTIAL_MISSING",
        "certificates are not in the file",
        (
            "east-west/istio-sample-expose-istiod-https.yaml",
            "gateway-api/istio-docs-secure-ingress.yaml",
            "ingress/istio-docs-secure-ingress-mutual.yaml",
            "ingress/istio-docs-secure-ingress-simple.yaml",
            "ingress/istio-docs-telemetry-addons-https-grafana.yaml",
            "ingress/istio-docs-telemetry-addons-https-kiali.yaml",
        ),
    ),
    (
        "DESTINATION_HOST_UNKNOWN",
        "routes alone: the services they lead to are not in the file",
        (
            "east-west/asm-expose-istiod.yaml",
            "east-west/istio-gwapi-eastwest.yaml",
            "east-west/istio-sample-expose-istiod-https.yaml",
            "egress/istio-docs-egress-gateway-mtls-origination-gatewayapi.yaml",
            "egress/istio-docs-egress-gateway-mtls-origination.yaml",
            "egress/istio-testdata-route-via-egressgateway.yaml",
            "gateway-api/istio-conversion-http.yaml",
            "gateway-api/istio-conversion-weighted.yaml",
            "gateway-api/istio-docs-gateway-api-task.yaml",
            "gateway-api/istio-sample-bookinfo.yaml",
            "gateway-api/istio-sample-helloworld.yaml",
            "ingress/argo-istio-gateway-and-virtualservices.yaml",
            "ingress/asm-online-boutique-frontend-gateway.yaml",
            "ingress/bank-of-anthos-frontend-ingress.yaml",
            "ingress/boutique-frontend-gateway.yaml",
            "ingress/istio-docs-ingress-any-host.yaml",
            "ingress/istio-docs-telemetry-addons-http-1.yaml",
            "ingress/istio-docs-telemetry-addons-http-2.yaml",
            "ingress/istio-docs-telemetry-addons-https-grafana.yaml",
            "ingress/istio-docs-telemetry-addons-https-kiali.yaml",
            "ingress/istio-sample-certmanager-gateway.yaml",
            "ingress/istio-sample-httpbin-gateway.yaml",
            "ingress/istio-sample-websockets.yaml",
            "ingress/istio-testdata-ingress-gateway-configs.yaml",
            "ingress/k8s-ingress-istio-testdata.yaml",
            "ingress/redhat-customer-gateway.yaml",
            "ingress/tools-isotope-local-gateways.yaml",
            "tcp/istio-gwapi-tcp.yaml",
        ),
    ),
    (
        "DESTINATION_PORT_UNKNOWN",
        "a test of Istio: the ServiceEntry has another port than the route names",
        (
            "ingress/istio-testdata-ingress-gateway-configs.yaml",
        ),
    ),
    (
        "DUPLICATE_OBJECT",
        "steps of a task, or alternatives, in one file: only one of them is applied at a time",
        (
            "egress/istio-docs-egress-tls-origination-sidecar.yaml",
            "gateway-api/istio-docs-gateway-api-task.yaml",
            "gateway-api/istio-sample-helloworld.yaml",
        ),
    ),
    (
        "FIELD_WARNING",
        "Istio warns of it too: a withdrawn field, or a DENY rule that refuses every connection on TCP ports",
        (
            "security/istio-docs-end-user-authentication.yaml",
            "security/istio-docs-require-tokens-per-path.yaml",
            "traffic/redhat-destination-rule-recommendation_cb_policy_pool_ejection.yaml",
        ),
    ),
    (
        "GATEWAY_MISSING",
        "routes alone: the Gateway is not in the file",
        (
            "ingress/kubeflow-dex-virtualservice.yaml",
            "ingress/kubeflow-oauth2-proxy-virtualservice.yaml",
            "ingress/kubeflow-pipelines-virtualservice.yaml",
            "ingress/kubeflow-profiles-virtualservice.yaml",
        ),
    ),
    (
        "L4_ROUTE_MISSING",
        "a Gateway alone, whose TCP routes are elsewhere",
        (
            "tcp/istio-testdata-gateway-tcp-a.yaml",
        ),
    ),
    (
        "MISSING_FIELD",
        "a patch for another object, without name and spec",
        (
            "workloads/istio-gwapi-deployment-simple.yaml",
        ),
    ),
    (
        "ROUTE_NOT_ATTACHED",
        "routes alone: their Gateway or service is not in the file, or takes none of their host names",
        (
            "egress/istio-docs-egress-timeout-gatewayapi.yaml",
            "gateway-api/gateway-api-example-timeouts.yaml",
            "gateway-api/istio-conversion-http.yaml",
            "gateway-api/istio-sample-bookinfo.yaml",
            "tcp/istio-sample-tcp-echo-gatewayapi-20-v2.yaml",
        ),
    ),
    (
        "RULE_HOST_UNKNOWN",
        "rules alone: the services they are for are not in the file",
        (
            "east-west/istio-sample-expose-istiod-https.yaml",
            "egress/istio-docs-egress-gateway-mtls-origination-gatewayapi.yaml",
            "egress/istio-docs-egress-gateway-mtls-origination.yaml",
            "ingress/istio-docs-telemetry-addons-http-1.yaml",
            "ingress/istio-docs-telemetry-addons-http-2.yaml",
            "ingress/istio-docs-telemetry-addons-https-grafana.yaml",
            "ingress/istio-docs-telemetry-addons-https-kiali.yaml",
            "ingress/tools-isotope-local-gateways.yaml",
            "traffic/istio-docs-circuit-breaking.yaml",
            "traffic/istio-docs-locality-distribute.yaml",
            "traffic/istio-docs-locality-failover.yaml",
            "traffic/istio-sample-destination-rule-all-mtls.yaml",
            "traffic/istio-sample-fault-injection-details-v1.yaml",
            "traffic/istio-testdata-destination-rule-locality.yaml",
            "traffic/redhat-destination-rule-recommendation_cb_policy_pool_ejection.yaml",
        ),
    ),
    (
        "SERVER_DROPPED",
        "a test of Istio for listeners that are in conflict",
        (
            "tcp/istio-gwapi-tcp.yaml",
        ),
    ),
    (
        "WRONG_TYPE",
        "a variable of a shell script stands for a number",
        (
            "egress/istio-docs-egress-http-proxy.yaml",
        ),
    ),
)

PASSED_OVER = frozenset({"Canary", "InferencePool", "Role", "RoleBinding", "Rollout"})
"""Kinds in the corpus that are not read: they say nothing about traffic through a proxy, or not in Istio's words."""
