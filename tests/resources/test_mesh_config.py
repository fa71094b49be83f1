"""The mesh configuration: YAML kept as text in a ConfigMap, defaults, and overrides of single fields."""

from __future__ import annotations

import pytest

from gwsim.diagnostics import CODES, Collector
from gwsim.resources import read_text
from gwsim.resources.mesh import mesh_of, proxy_settings
from gwsim.resources.models import MeshConfig, ProxySettings

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |-
    connectTimeout: 3s
    rootNamespace: mesh
    defaultConfig:
      concurrency: 3
      proxyMetadata: {A: "1"}
    extensionProviders:
    - name: auth
      envoyExtAuthzHttp: {service: auth.app.svc.cluster.local, port: 8000, timeout: 250ms}
  meshNetworks: |-
    networks:
      net1: {endpoints: [{fromRegistry: Kubernetes}], gateways: [{address: 192.0.2.1, port: 15443}]}
"""


def test_both_entries_are_read():
    mesh = mesh_of(read_text(CONFIG_MAP))
    assert mesh.given
    assert (mesh.config.connect_timeout_s, mesh.config.root_namespace) == (3.0, "mesh")
    assert mesh.config.default_config.concurrency == 3
    provider = mesh.config.provider("auth")
    assert provider is not None and provider.envoy_ext_authz_http is not None
    assert provider.envoy_ext_authz_http.timeout_s == 0.25
    assert mesh.networks.networks["net1"].gateways[0].address == "192.0.2.1"


def test_without_a_config_map_the_defaults_are_istiods():
    mesh = mesh_of(read_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"))
    assert not mesh.given
    assert mesh.config == MeshConfig()
    assert mesh.config.outbound_traffic_policy.mode == "ALLOW_ANY"


def test_other_config_maps_are_passed_over_in_silence():
    collector = Collector()
    objects = read_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {mesh: '{'}\n", collector=collector)
    assert len(objects) == 0 and not list(collector)


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        ("connectTimeout: 3s", "conectTimeout: 3s", ("MISSPELT_FIELD", 7, "data.mesh.conectTimeout")),
        ("concurrency: 3", "concurrency: many", ("WRONG_TYPE", 10, "data.mesh.defaultConfig.concurrency")),
        ("port: 15443", "port: 0", ("BAD_VALUE", 17, "data.meshNetworks.networks.net1.gateways[0].port")),
        ("rootNamespace: mesh", "rootNamespace: [", ("YAML_SYNTAX", 10, "data.mesh")),
    ],
)
def test_what_is_wrong_has_the_line_in_the_file(wrong, right, expected):
    collector = Collector()
    read_text(CONFIG_MAP.replace(wrong, right), collector=collector)
    (found,) = collector.errors
    assert (CODES[found.code].name, found.span.line, found.object_ref.split()[-1]) == expected


def test_overrides_replace_fields_and_those_of_the_default_config_one_by_one():
    overrides = {"accessLogFile": "/dev/stdout", "defaultConfig": {"terminationDrainDuration": "20s", "proxyMetadata": {"B": "2"}}}
    config = mesh_of(read_text(CONFIG_MAP), overrides).config
    assert (config.access_log_file, config.connect_timeout_s) == ("/dev/stdout", 3.0)
    assert config.default_config.concurrency == 3
    assert config.default_config.termination_drain_duration_s == 20.0
    assert config.default_config.proxy_metadata == {"A": "1", "B": "2"}


def test_an_override_that_does_not_exist_is_reported():
    collector = Collector()
    mesh_of(read_text(CONFIG_MAP), {"conectTimeout": "1s"}, collector=collector)
    assert [CODES[one.code].name for one in collector.errors] == ["MISSPELT_FIELD"]


def test_a_pods_annotation_replaces_fields_of_the_mesh():
    collector = Collector()
    base = ProxySettings(concurrency=3, termination_drain_duration_s=9.0)
    settings = proxy_settings(base, "concurrency: 0\n", "Deployment/a/b", collector)
    assert (settings.concurrency, settings.termination_drain_duration_s) == (0, 9.0)
    assert proxy_settings(base, "{", "Deployment/a/b", collector) == base
