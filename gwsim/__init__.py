"""gwsim: traffic simulation and capacity modelling for Istio gateways.

One topology in Envoy's vocabulary, built from Istio YAML, and three executors: a compiled engine,
a readable SimPy engine equal to it to the last bit, and a real Envoy.
"""

from gwsim._version import __version__

__all__ = ["__version__"]
