"""Valid fields that have no effect in the model: one table, message and field to the reason.

A row `"HTTPRoute.fault"` covers the field wherever that message occurs. When a part of the model is
built, its rows go. A test checks that every row names a field that exists.

`WITHOUT_EFFECT` has the fields that change nothing about traffic by their nature: they are not reported.
"""

from __future__ import annotations

_L4 = "routes of TLS and TCP connections are not simulated yet"
_FILES = "certificate files are not looked at; the kind of key comes from a Secret or the scenario"
_POLICY = "not simulated yet"
_SETTLED = "a run uses the replicas that the autoscaler settles at"
_PLUGIN = "what a plugin decides is not followed, only its cost"
_MODULE = "modules are taken to be loaded"

NOT_MODELLED: dict[str, str] = {
    # Gateway
    "Server.defaultEndpoint": "Istio itself ignores it",
    "ServerTls.serverCertificate": _FILES,
    "ServerTls.privateKey": _FILES,
    "ServerTls.caCertificates": "client certificates are taken to be valid",
    "ServerTls.caCrl": "client certificates are taken to be valid",
    "ServerTls.caCertCredentialName": "client certificates are taken to be valid",
    "ServerTls.tlsCertificates": _FILES,
    "ServerTls.subjectAltNames": "client certificates are taken to be valid",
    "ServerTls.verifyCertificateSpki": "client certificates are taken to be valid",
    "ServerTls.verifyCertificateHash": "client certificates are taken to be valid",
    "ServerTls.minProtocolVersion": "the scenario says which TLS version clients use",
    "ServerTls.maxProtocolVersion": "the scenario says which TLS version clients use",
    "ServerTls.cipherSuites": "the cost of ciphers is not told apart",
    # VirtualService
    "VirtualService.tls": _L4,
    "VirtualService.tcp": _L4,
    "HTTPRoute.fault": "fault injection is not simulated yet",
    "HTTPRoute.mirror": "mirrored traffic is not simulated yet",
    "HTTPRoute.mirrors": "mirrored traffic is not simulated yet",
    "HTTPRoute.mirrorPercent": "mirrored traffic is not simulated yet",
    "HTTPRoute.mirrorPercentage": "mirrored traffic is not simulated yet",
    "HTTPRetry.retryRemoteLocalities": "locality load balancing is " + _POLICY,
    "HTTPRoute.corsPolicy": "cross-origin requests are not told apart",
    "HTTPRoute.headers": "changed headers are not carried on",
    "HTTPRouteDestination.headers": "changed headers are not carried on",
    # DestinationRule
    "TrafficPolicy.outlierDetection": "ejection of endpoints is " + _POLICY,
    "PortTrafficPolicy.outlierDetection": "ejection of endpoints is " + _POLICY,
    "TrafficPolicy.tunnel": "tunnelling is " + _POLICY,
    "TrafficPolicy.proxyProtocol": "the PROXY header is " + _POLICY,
    "TrafficPolicy.retryBudget": "retry budgets are " + _POLICY,
    "LoadBalancerSettings.consistentHash": "session affinity is " + _POLICY,
    "LoadBalancerSettings.localityLbSetting": "locality load balancing is " + _POLICY,
    "LoadBalancerSettings.warmupDurationSecs": "slow start is " + _POLICY,
    "LoadBalancerSettings.warmup": "slow start is " + _POLICY,
    "TcpSettings.tcpKeepalive": "TCP keep-alive probes are not simulated",
    "TcpSettings.maxConnectionDuration": "the age of connections is " + _POLICY,
    "TcpSettings.idleTimeout": "idle timeouts are " + _POLICY,
    "HttpSettings.idleTimeout": "idle timeouts are " + _POLICY,
    "HttpSettings.maxRequestsPerConnection": "the age of connections is " + _POLICY,
    "HttpSettings.useClientProtocol": "the upstream protocol is taken from the service's port",
    "HttpSettings.maxConcurrentStreams": "limits of HTTP/2 streams are " + _POLICY,
    "ClientTls.clientCertificate": _FILES,
    "ClientTls.privateKey": _FILES,
    "ClientTls.caCertificates": "server certificates are taken to be valid",
    "ClientTls.subjectAltNames": "server certificates are taken to be valid",
    "ClientTls.insecureSkipVerify": "server certificates are taken to be valid",
    "ClientTls.caCrl": "server certificates are taken to be valid",
    # ServiceEntry
    "ServiceEntry.workloadSelector": "selected endpoints are " + _POLICY,
    "ServiceEntry.subjectAltNames": "server certificates are taken to be valid",
    "WorkloadEntry.network": "networks are " + _POLICY,
    "WorkloadEntry.locality": "locality load balancing is " + _POLICY,
    # Sidecar, WorkloadGroup
    "IngressListener.bind": "sidecars accept on all addresses of their pod here",
    "IngressListener.captureMode": "inbound traffic always goes through the sidecar here",
    "IngressListener.tls": "TLS of a sidecar's own ingress listener is " + _POLICY,
    "IngressListener.connectionPool": "limits of a sidecar's inbound side are " + _POLICY,
    "Sidecar.inboundConnectionPool": "limits of a sidecar's inbound side are " + _POLICY,
    "WorkloadGroup.template": "a template; the machines that registered with it are WorkloadEntries",
    "WorkloadGroup.metadata": "a template; the machines that registered with it are WorkloadEntries",
    "WorkloadGroup.probe": "machines are taken to be ready",
    # Policies and plugins
    "JwtRule.jwks": "keys are not looked at: a request says whether its token verifies",
    "JwtRule.jwksUri": "istiod fetches the keys, not the proxies; they are taken to be there",
    "JwtRule.timeout": "istiod fetches the keys, not the proxies",
    "JwtRule.outputPayloadToHeader": "changed headers are not carried on",
    "JwtRule.outputClaimToHeaders": "changed headers are not carried on",
    "JwtRule.forwardOriginalToken": "changed headers are not carried on",
    "WasmPlugin.pluginConfig": _PLUGIN,
    "WasmPlugin.vmConfig": _PLUGIN,
    "WasmPlugin.sha256": _MODULE,
    "WasmPlugin.imagePullPolicy": _MODULE,
    "WasmPlugin.imagePullSecret": _MODULE,
    "WasmPlugin.verificationKey": _MODULE,
    "WasmExtension.pluginConfig": _PLUGIN,
    "WasmExtension.vmConfig": _PLUGIN,
    "WasmExtension.sha256": _MODULE,
    "WasmExtension.imagePullPolicy": _MODULE,
    "WasmExtension.imagePullSecret": _MODULE,
    "WasmExtension.verificationKey": _MODULE,
    "TracingSettings.customTags": "the size of spans is not modelled",
    "TracingSettings.useRequestIdForTraceSampling": "which requests are traced is not told apart",
    "TracingSettings.enableIstioTags": "the size of spans is not modelled",
    "MetricsSettings.reportingInterval": "the pace of pushed metrics is not modelled",
    "AccessLogSettings.filter": "all requests are taken to be logged",
    "ProxyConfig.environmentVariables": "environment variables of proxies are not looked at",
    "ProxyConfig.image": "all images of the proxy are taken to behave alike",
    # Kubernetes
    "Service.externalTrafficPolicy": "traffic policies of Services are " + _POLICY,
    "Service.internalTrafficPolicy": "traffic policies of Services are " + _POLICY,
    "Service.trafficDistribution": "locality load balancing is " + _POLICY,
    "ScalingRules.stabilizationWindowSeconds": _SETTLED,
    "ScalingRules.selectPolicy": _SETTLED,
    "ScalingRules.policies": _SETTLED,
    "MetricSpec.pods": "metrics other than CPU and memory are not followed",
    "MetricSpec.object": "metrics other than CPU and memory are not followed",
    "MetricSpec.external": "metrics other than CPU and memory are not followed",
}

_STATISTICS = "it names statistics only"
_OTHER_METRIC = "belongs to metrics that are not followed"

WITHOUT_EFFECT: dict[str, str] = {
    "ServerPort.targetPort": "Istio does not use it at gateways",
    "Server.name": "it is a name only",
    "HTTPMatchRequest.statPrefix": _STATISTICS,
    "ServiceEntry.addresses": "gateways go by host names; addresses are for clients in the mesh",
    "ServicePort.nodePort": "the load balancer before the gateway is described by the scenario",
    "Service.clusterIP": "gateways send to endpoints",
    "Secret.type": "the kind of key is taken from the certificate or key itself",
    "Secret.immutable": "nothing changes a Secret during a run",
    "EnvVar.valueFrom": "values kept elsewhere are not known",
    "ContainerPort.protocol": "Services find the port by its name",
    "Deployment.selector": "the labels of its pods are those of the template",
    "LabelSelector.matchLabels": "the labels of its pods are those of the template",
    "LabelSelector.matchExpressions": "the labels of its pods are those of the template",
    "ResourceList.memory": "memory is not simulated",
    "PodSpec.terminationGracePeriodSeconds": "no pod ends during a run",
    "TcpSettings.connectTimeout": "endpoints accept connections at once in the model",
    "Deployment.strategy": "updates of a Deployment are no part of a run",
    "ScaleTarget.apiVersion": "kind and name tell which workload it is",
    "MetricSource.container": "the proxy's container is the one that works",
    "MetricSource.metric": _OTHER_METRIC,
    "MetricIdentifier.name": _OTHER_METRIC,
    "MetricIdentifier.selector": _OTHER_METRIC,
    "MetricTarget.type": "the target that is given tells the type",
    "MetricTarget.value": _OTHER_METRIC,
    "MetricSource.describedObject": _OTHER_METRIC,
    "MetricSource.targetValue": _OTHER_METRIC,
    "MetricSource.metricName": _OTHER_METRIC,
    "MetricSource.metricSelector": _OTHER_METRIC,
    "MetricSource.averageValue": _OTHER_METRIC,
    "MetricSource.selector": _OTHER_METRIC,
}
