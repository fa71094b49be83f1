"""What Istio does with the fields that are asked for most: `Message.field` to a sentence or two.

Sources: istio/api networking/v1alpha3/*.proto, istio/istio pilot/pkg/networking/core (1.30); see the modules of
`gwsim.topology.from_istio` for the place of each rule.
"""

from __future__ import annotations

NOTES: dict[str, str] = {
    # Gateway
    "Gateway.selector": "Labels of the gateway pods, in any namespace. All Gateways that select a pod are merged on it, oldest first.",
    "Server.hosts": "Names served: exact, `*.suffix` or `*`; `namespace/` before a name says whose VirtualServices may use it. For TLS they are the server names of the chain.",
    "Server.port": "The port as the Service has it. The pods listen on the targetPort of the first Service port of that number, else on the number itself.",
    "Server.bind": "Address to listen on; all when left out.",
    "ServerTls.mode": "SIMPLE and the mutual modes end TLS here; PASSTHROUGH routes by server name with `tls` routes; AUTO_PASSTHROUGH is for east-west gateways.",
    "ServerTls.httpsRedirect": "Plaintext requests to these hosts are answered 301 to https, whatever the routes say.",
    "ServerTls.credentialName": "Secret in the namespace of the gateway's pods. When it is missing, handshakes on the chain fail; other chains work.",
    # VirtualService
    "VirtualService.hosts": "Names the routes are for. At a gateway each is intersected with the server's hosts; VirtualServices with the same name are joined, oldest first.",
    "VirtualService.gateways": "Gateways it is bound to, as `name` or `namespace/name`; `mesh` is all sidecars, and the default.",
    "VirtualService.exportTo": "Namespaces of the proxies that may see it: `*` (default), `.` its own, or names.",
    "VirtualService.http": "HTTP rules in order; the first that matches wins. A rule that takes everything ends the list.",
    "VirtualService.tls": "Rules by server name, for PASSTHROUGH servers and sidecars.",
    "VirtualService.tcp": "Rules for bytes. At a gateway only the first that fits is used for a server.",
    "HTTPRoute.match": "Alternatives; all fields of one must hold. No match takes everything.",
    "HTTPRoute.route": "Destinations with weights relative to each other. A single one takes all, whatever its weight.",
    "HTTPRoute.redirect": "Answer with a Location: `uri` replaces the whole path, `authority` the host; 301 unless said.",
    "HTTPRoute.directResponse": "Answer at once with a status and a body.",
    "HTTPRoute.delegate": "Another VirtualService has the rules; each must be within the match here.",
    "HTTPRoute.rewrite": "Path and host at the backend. `uri` replaces the part that the match covered.",
    "HTTPRoute.timeout": "Time for the whole request with all its retries (504 UT after it). Istio's default is none.",
    "HTTPRoute.retries": "Left out: 2 retries on connect-failure, refused-stream, unavailable, cancelled. `attempts: 0` switches them off.",
    "HTTPRoute.fault": "Delay or abort some requests before they are forwarded; aborted ones are neither retried nor timed.",
    "HTTPRoute.mirror": "Send a copy to another destination and forget its answer; 100 % unless mirrorPercentage says less.",
    "HTTPRoute.corsPolicy": "Preflights from an allowed origin are answered by the proxy; others are forwarded unless unmatchedPreflights is IGNORE.",
    "HTTPRoute.headers": "Headers set, added and removed; setting Host or :authority rewrites the host.",
    "HTTPMatchRequest.uri": "exact, prefix (of the text: /foo matches /foobar) or regex (RE2, the whole path); without the query.",
    "HTTPMatchRequest.headers": "Names in any case. An empty match or the regex `*` is presence; `@request.auth.claims[...]` is a claim of a verified token.",
    "HTTPMatchRequest.withoutHeaders": "Must not match; an absent header counts as empty.",
    "HTTPMatchRequest.port": "The port that the Gateway declares, not the one the pods listen on.",
    "HTTPMatchRequest.gateways": "Only for these of the VirtualService's gateways; sourceLabels and sourceNamespace are then not looked at.",
    "HTTPRetry.attempts": "Retries, so one try more in all. 0 switches retries off.",
    "HTTPRetry.perTryTimeout": "Time for each try; none unless set, so only the route's timeout holds.",
    "HTTPRetry.retryOn": "Envoy's conditions with commas; a number is a status code. Replaces the default ones.",
    "Destination.host": "Service as seen from the VirtualService's namespace; a name with a dot is taken as it is.",
    "Destination.subset": "Subset of the DestinationRule in force. One that does not exist is answered 503 NC.",
    "Destination.port": "May be left out where the service has one port only; otherwise the listener's port is taken, which is usually wrong.",
    # DestinationRule
    "DestinationRule.host": "Service it is for, or `*.suffix`. Of the client's, the service's and the root namespace the first with a rule wins alone.",
    "TrafficPolicy.portLevelSettings": "Replace the whole policy for a port; what stands above is lost there.",
    "TcpSettings.maxConnections": "Connections per proxy pod and cluster. Istio's default is no limit.",
    "TcpSettings.connectTimeout": "Time to open a connection to the backend; 10 s unless set.",
    "HttpSettings.http1MaxPendingRequests": "Requests waiting for a connection, HTTP/2 too, per proxy pod and cluster; beyond it 503 UO.",
    "HttpSettings.http2MaxRequests": "Requests at the backend, HTTP/1.1 too, per proxy pod and cluster; beyond it 503 UO.",
    "HttpSettings.maxRequestsPerConnection": "Requests before a connection is closed; 1 switches keep-alive off.",
    "HttpSettings.maxRetries": "Retries under way at a time, per proxy pod and cluster.",
    "HttpSettings.idleTimeout": "Connections to the backend without a request are closed after it; 1 h unless set.",
    "HttpSettings.h2UpgradePolicy": "UPGRADE speaks HTTP/2 to the backend whatever its port is called.",
    "LoadBalancerSettings.simple": "How an endpoint is picked; LEAST_REQUEST of two random ones unless set.",
    "LoadBalancerSettings.consistentHash": "The same key goes to the same endpoint; from a header, cookie, query parameter or the client's address.",
    "OutlierDetection.consecutive5xxErrors": "Answers of 5xx in a row after which an endpoint is taken out; 5 as soon as outlierDetection is there at all.",
    "OutlierDetection.maxEjectionPercent": "Most of the endpoints that may be out at a time; 10 % unless set.",
    "ClientTls.mode": "TLS from the proxy to the backend. Left out, endpoints with a sidecar get mutual TLS and others plaintext.",
    # ServiceEntry
    "ServiceEntry.resolution": "How addresses are found. NONE has no endpoint at a gateway: 503 UH.",
    "ServiceEntry.location": "MESH_EXTERNAL (default) gets no automatic mutual TLS.",
}
