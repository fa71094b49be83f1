"""Backends of a real Envoy on this machine: a process that listens for every endpoint and answers as the scenario says."""

from gwsim.envoy.backends.process import BackendProcess, Endpoint, Station

__all__ = ["BackendProcess", "Endpoint", "Station"]
