"""Sidecar, WorkloadEntry, WorkloadGroup and PeerAuthentication: read as written, refused as Istio refuses them."""

import textwrap

import pytest

from gwsim.diagnostics import Level
from gwsim.resources.models import PeerAuthentication, RegisteredWorkload, Sidecar, WorkloadGroup


def obj(kind, spec, group="networking.istio.io/v1"):
    return f"apiVersion: {group}\nkind: {kind}\nmetadata: {{name: a, namespace: app}}\nspec:\n" + textwrap.indent(
        textwrap.dedent(spec).strip("\n"), "  "
    )


def test_a_sidecar_is_read(load):
    resources, found = load(
        obj(
            "Sidecar",
            """
            workloadSelector: {labels: {app: web}}
            ingress:
            - port: {number: 9080, protocol: HTTP, name: http}
              defaultEndpoint: 127.0.0.1:8080
            egress:
            - port: {number: 3306, protocol: MYSQL, name: db}
              captureMode: NONE
              bind: 127.0.0.1
              hosts: [./mysql.foo.com]
            - hosts: ["./*", "istio-system/*"]
            outboundTrafficPolicy: {mode: REGISTRY_ONLY}
            """,
        )
    )
    (sidecar,) = resources.of(Sidecar)
    assert sidecar.workload_selector.labels == {"app": "web"}
    assert sidecar.ingress[0].default_endpoint == "127.0.0.1:8080"
    assert [one.hosts for one in sidecar.egress] == [("./mysql.foo.com",), ("./*", "istio-system/*")]
    assert (sidecar.egress[0].port.number, sidecar.egress[0].capture_mode) == (3306, "NONE")
    assert sidecar.outbound_traffic_policy.mode == "REGISTRY_ONLY"
    assert not [one for one in found if one.level is Level.ERROR]


def test_an_outbound_policy_without_mode_is_registry_only(load):
    resources, _ = load(obj("Sidecar", "outboundTrafficPolicy: {}"))
    assert resources.of(Sidecar)[0].outbound_traffic_policy.mode == "REGISTRY_ONLY"


def test_workload_entries_and_groups_are_read(load):
    resources, _ = load(
        obj("WorkloadEntry", "address: 10.0.0.7\nnetwork: vm\nweight: 3\nlabels: {app: db}\nports: {http: 8080}\nserviceAccount: db")
        + "\n---\n"
        + obj("WorkloadGroup", "template: {ports: {http: 8080}, serviceAccount: db}\nprobe: {httpGet: {port: 8080}}")
    )
    entry = resources.of(RegisteredWorkload)[0].entry
    assert (entry.address, entry.network, entry.weight, entry.ports) == ("10.0.0.7", "vm", 3, {"http": 8080})
    assert resources.of(WorkloadGroup)[0].template.service_account == "db"


def test_a_peer_authentication_is_read(load):
    resources, _ = load(
        obj(
            "PeerAuthentication",
            "selector: {matchLabels: {app: web}}\nmtls: {mode: STRICT}\nportLevelMtls: {8080: {mode: DISABLE}}",
            "security.istio.io/v1",
        )
    )
    policy = resources.of(PeerAuthentication)[0]
    assert (policy.mtls.mode, policy.port_level_mtls["8080"].mode) == ("STRICT", "DISABLE")


REFUSED = [
    ("Sidecar", "ingress: []", "MISSING_FIELD"),
    ("Sidecar", "egress: [{hosts: []}]", "MISSING_FIELD"),
    ("Sidecar", "egress: [{hosts: [reviews]}]", "BAD_VALUE"),
    ("Sidecar", "egress: [{hosts: ['~/reviews']}]", "BAD_VALUE"),
    ("Sidecar", "egress: [{hosts: ['./*']}, {port: {number: 80, protocol: HTTP, name: a}, hosts: ['./*']}]", "BAD_VALUE"),
    ("Sidecar", "egress: [{bind: 127.0.0.1, hosts: ['./*']}]", "MISSING_FIELD"),
    ("Sidecar", "ingress: [{port: {number: 80, protocol: HTTP, name: a}, defaultEndpoint: '10.0.0.1:80'}]", "BAD_VALUE"),
    ("Sidecar", "outboundTrafficPolicy: {mode: REGISTRY_ONLY, egressProxy: {host: a.b.c, port: {number: 80}}}", "FIELD_CONFLICT"),
    ("Sidecar", "egres: [{hosts: ['./*']}]", "MISSPELT_FIELD"),
    ("WorkloadEntry", "weight: 1", "MISSING_FIELD"),
    ("WorkloadEntry", "address: unix:///a.sock\nports: {http: 80}", "FIELD_CONFLICT"),
    ("WorkloadEntry", "address: a_b/c", "BAD_VALUE"),
    ("WorkloadGroup", "probe: {}", "MISSING_FIELD"),
    ("WorkloadGroup", "template: {}\nprobe: {periodSeconds: 1}", "BAD_VALUE"),
    ("ServiceEntry", "hosts: [a.example]\naddresses: [10.0.0.0/8]\nresolution: DNS\nports: [{number: 80, name: a}]", "BAD_VALUE"),
    ("ServiceEntry", "hosts: [a.example]\naddresses: [here]\nresolution: NONE\nports: [{number: 80, name: a}]", "BAD_VALUE"),
    (
        "ServiceEntry",
        "hosts: [a.example, b.example]\nresolution: DNS\nports: [{number: 80, name: a, protocol: TCP}]",
        "BAD_VALUE",
    ),
    ("VirtualService", "hosts: [a.example]\ntcp: [{match: [{destinationSubnets: [here]}], route: [{destination: {host: a}}]}]", "BAD_VALUE"),
    ("ServiceEntry", "hosts: [a.example]\nresolution: STATIC\nendpoints: [{}]\nports: [{number: 80, name: a}]", "MISSING_FIELD"),
]


@pytest.mark.parametrize(("kind", "spec", "code"), REFUSED, ids=[f"{kind}-{n}" for n, (kind, _, _) in enumerate(REFUSED)])
def test_what_istio_refuses_is_an_error(findings, kind, spec, code):
    assert code in [name for name, _, _ in findings(obj(kind, spec), level=Level.ERROR)]


@pytest.mark.parametrize("spec", ["portLevelMtls: {8080: {mode: STRICT}}", "selector: {matchLabels: {a: b}}\nportLevelMtls: {http: {}}"])
def test_port_level_modes_need_a_selector_and_a_number(findings, spec):
    assert findings(obj("PeerAuthentication", spec, "security.istio.io/v1"), level=Level.ERROR)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Sidecar", "egress: [{hosts: ['*/*', '~/*', 'ns/*.example.com']}]"),
        ("Sidecar", "inboundConnectionPool: {http: {http1MaxPendingRequests: 1}}"),
        ("WorkloadEntry", "network: vm"),
        ("WorkloadEntry", "address: db.example.com"),
    ],
)
def test_what_istio_takes_is_no_error(findings, kind, spec):
    assert not findings(obj(kind, spec), level=Level.ERROR)
