"""Valid fields that have no effect in the model: one table, message and field to the reason.

A row `"HTTPRoute.fault"` covers the field wherever that message occurs. When a part of the model is
built, its rows go. A test checks that every row names a field that exists.
"""

from __future__ import annotations

_L4 = "routes of TLS and TCP connections are not simulated yet"
_FILES = "certificate files are not looked at; the kind of key comes from a Secret or the scenario"
_POLICY = "not simulated yet"

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
    "HttpSettings.useClientProtocol": "the upstream protocol is taken from the service's port",
    "HttpSettings.maxConcurrentStreams": "limits of HTTP/2 streams are " + _POLICY,
    "ClientTls.clientCertificate": _FILES,
    "ClientTls.privateKey": _FILES,
    "ClientTls.caCertificates": "server certificates are taken to be valid",
    "ClientTls.subjectAltNames": "server certificates are taken to be valid",
    "ClientTls.caCrl": "server certificates are taken to be valid",
    # ServiceEntry
    "ServiceEntry.workloadSelector": "selected endpoints are " + _POLICY,
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
    # Kubernetes
    "Service.externalTrafficPolicy": "traffic policies of Services are " + _POLICY,
    "Service.internalTrafficPolicy": "traffic policies of Services are " + _POLICY,
    "Service.trafficDistribution": "locality load balancing is " + _POLICY,
}
