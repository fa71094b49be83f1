"""What policies have in common: selectors and target references that Istio's webhook refuses.

Source modelled: istio pkg/config/validation (`validateWorkloadSelector`, `validatePolicyTargetReference`), 1.30.
"""

from __future__ import annotations

from gwsim.resources.models.base import Labels
from gwsim.resources.models.policy import Policy, TargetRef
from gwsim.resources.validation.check import Check

TARGETS = {
    ("", "Service"),
    ("core", "Service"),
    ("networking.istio.io", "ServiceEntry"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
}
"""Group and kind of what a policy may be attached to."""


def check_attachment(policy: Policy, check: Check) -> None:
    """Report a selector or target reference that would be refused."""
    given = {"selector": policy.selector, "targetRef": policy.target_ref, "targetRefs": policy.target_refs or None}
    present = [name for name, value in given.items() if value is not None]
    if len(present) > 1:
        check.conflict(present[1], f"{' and '.join(present)} exclude each other")
    if policy.selector is not None:
        check_labels(policy.selector.match_labels, "selector.matchLabels", check)
        if not policy.selector.match_labels:
            check.warn("selector", "the selector has no labels, so it selects the whole namespace")
    if policy.target_ref is not None:
        check_target(policy.target_ref, "targetRef", check)
    for index, ref in enumerate(policy.target_refs):
        check_target(ref, f"targetRefs[{index}]", check)


def check_labels(labels: Labels, path: str, check: Check) -> None:
    """Report labels of a selector that would be refused."""
    for key, value in labels.items():
        if not key:
            check.bad(path, f"a label without a name cannot be selected by ({value!r})")
        elif "*" in key or "*" in value:
            check.bad(path, f"{key}={value}: a selector takes no wildcard")


def check_target(ref: TargetRef, path: str, check: Check) -> None:
    """Report a target reference that would be refused."""
    if not ref.name:
        check.missing(f"{path}.name", "a target reference needs a name")
    if ref.namespace:
        check.bad(f"{path}.namespace", "a target in another namespace cannot be referred to; leave namespace out")
    if (ref.group, ref.kind) not in TARGETS:
        wanted = "Service, ServiceEntry (networking.istio.io), Gateway or GatewayClass (gateway.networking.k8s.io)"
        check.bad(f"{path}.kind", f"a policy cannot be attached to {ref.kind} of group {ref.group!r}", f"write {wanted}")


def no_empty(values: tuple[str, ...], path: str, check: Check) -> None:
    """Report empty texts in a list."""
    for index, value in enumerate(values):
        if not value:
            check.bad(f"{path}[{index}]", "an empty text is not allowed here")
