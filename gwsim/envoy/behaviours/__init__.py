"""Behaviours that a real Envoy and the simulator are held to, one a file: Istio YAML, backends, load."""
