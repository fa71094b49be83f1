"""What differs between two topologies: objects that only one has, and fields that are not the same."""

from gwsim.topology.diff.compare import View, diff, diff_proxies
from gwsim.topology.diff.differences import Change, Difference, FieldChange, counted
from gwsim.topology.diff.plain import facts, plain

__all__ = ["Change", "Difference", "FieldChange", "View", "counted", "diff", "diff_proxies", "facts", "plain"]
