"""ReferenceGrants: which references across namespaces are allowed.

Source: istio/istio pilot/pkg/config/kube/gateway/references_collection.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from gwsim.resources.models import ReferenceGrant, Resource


class Grants:
    """The grants by what they allow."""

    def __init__(self, grants: Iterable[ReferenceGrant]) -> None:
        self._names: set[tuple[str, str, str, str, str, str, str | None]] = set()
        for grant in grants:
            for source in grant.from_:
                for target in grant.to:
                    key = (source.group, source.kind, source.namespace, target.group, target.kind)
                    self._names.add((*key, grant.namespace, target.name or None))

    def allow(self, source: Resource, kind: str, namespace: str, name: str) -> bool:
        """Whether a Gateway API object may refer to a core object, in another namespace or its own."""
        if namespace == source.namespace:
            return True
        known = (source.meta.group, source.meta.kind, source.namespace, "", kind, namespace)
        return (*known, None) in self._names or (*known, name) in self._names
