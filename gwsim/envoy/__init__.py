"""A real Envoy made from the topology: its bootstrap, its certificates, its process on this machine."""

from gwsim.envoy.bootstrap import Bootstrap, bootstrap
from gwsim.envoy.certificates import KeyPair, self_signed
from gwsim.envoy.process import EnvoyFailed, RealEnvoy, find_envoy, validate
from gwsim.envoy.stock import on_loopback, stock

__all__ = [
    "Bootstrap", "EnvoyFailed", "KeyPair", "RealEnvoy", "bootstrap", "find_envoy", "on_loopback", "self_signed", "stock",
    "validate",
]  # fmt: skip
