"""From an Envoy `config_dump` to the topology: what the control plane really pushed to one proxy."""

from gwsim.topology.from_config_dump.build import from_config_dump, from_config_dump_text

__all__ = ["from_config_dump", "from_config_dump_text"]
