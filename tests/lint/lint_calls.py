"""What the tests of the linter share."""

from __future__ import annotations

import json
import textwrap
from datetime import UTC, datetime

from gwsim.diagnostics import CODES
from gwsim.topology.lint import Options, Report, Selection, lint_texts

NOW = datetime(2030, 1, 1, tzinfo=UTC)
"""Certificates are held against this time, so that tests do not age."""


def lint(*texts: str, select: str | None = None, **options: object) -> Report:
    """Lint texts, one a cluster, named `a.yaml`, `b.yaml` and so on."""
    named = {("" if len(texts) == 1 else f"c{at}"): [(f"{'abcdef'[at]}.yaml", textwrap.dedent(text))] for at, text in enumerate(texts)}
    selection = Selection(select=(select,)) if select else options.pop("selection", Selection())
    return lint_texts(named, Options(now=NOW, selection=selection, **options))


def pairs(report: Report) -> set[tuple[str, str]]:
    """Findings as (istioctl's code or ours, `Kind/namespace/name`)."""
    return {(CODES[one.code].istio or one.code, (one.object_ref or "").partition(" ")[0]) for one in report.findings}


def found(report: Report, code: str) -> set[str]:
    """The objects (without kind) that have a finding of the code."""
    return {ref.partition("/")[2] for name, ref in pairs(report) if name == code}


def k8s(kind, name, namespace="default", spec=None, *, group="networking.istio.io/v1", **metadata):
    """An object as JSON, which is YAML too; `namespace` None for kinds without one."""
    written = {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}
    whole = {"apiVersion": group, "kind": kind, "metadata": written}
    return json.dumps(whole | ({"spec": spec} if spec is not None else {}))


def pod(name, namespace="default", labels=None, image="proxyv2", annotations=None, **spec):
    """A pod with a sidecar."""
    spec = {"containers": [{"name": "istio-proxy", "image": image}], **spec}
    return k8s("Pod", name, namespace, spec, group="v1", labels=labels or {}, annotations=annotations or {})


def docs(*objects):
    """Several documents as one text."""
    return "\n---\n".join(objects)
