"""The reference of all lint rules as Markdown, written from the rules and the table of codes.

`docs/reference/lint.md` is this text; `make reference` writes it, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import CODES
from gwsim.diagnostics.codes import Code
from gwsim.report.findings.order import WORDS
from gwsim.topology.lint import NOT_COVERED, ClusterRule, Rule, catalogue

_HEAD = """# What `gwsim lint` finds

Generated from the rules (`gwsim/topology/lint/rules`); do not edit. `gwsim explain CODE` prints the same.

An **error** is what Istio would refuse: its CRDs, its webhook, the Gateway API. A **warning** is accepted and does not do what it
says, or is something about Services and workloads that Kubernetes would refuse.
A **note** is good to know, or a doubt that the files alone cannot settle: a reference to a kind of object of which the
input has none at all is a note, because a part of a configuration says nothing about the rest.

```
gwsim lint istio/                                  # a folder
helm template shop ./chart | gwsim lint -          # a stream
kubectl get gw,vs,dr,se,svc,deploy -A -o yaml | gwsim lint -
gwsim lint east=clusters/east west=clusters/west   # several clusters
gwsim lint scenarios/shop                          # a scenario, with the load it declares
```

Exit code 1 when there is a finding of the level of `--fail-on` (default: warning) or above, 2 when some of the input cannot
be read, whatever the format (`-o text|json|sarif|github`). `--select` and `--ignore` take codes of gwsim or of istioctl, parts
of codes (`GW04`), and for `--ignore` an object (`IST0103=Pod/shop/*`). `--level GW0407=error` gives a code another level.

Mesh configuration is taken from the ConfigMap `istio`, an IstioOperator, or a document of its own without `kind`. Where the input has
no gateway with the labels `istio: ingressgateway`, Istio's own is taken for granted, as `istioctl analyze` does; the pods of Deployments,
StatefulSets and DaemonSets count like Pods.

Known findings are kept quiet where they are:

```yaml
metadata:
  annotations:
    gwsim.dev/ignore: GW0407,IST0132               # on the object; * for all
    galley.istio.io/analyze-suppress: IST0132      # istioctl's own annotation counts too
spec:
  gateways: [edge/shop]  # gwsim: ignore[GW0101]
  # gwsim: ignore[GW0103]
  http: [...]
# gwsim: ignore-file[GW0414]
```
"""


def render() -> str:
    """The whole page, ending in a newline."""
    rules = catalogue()
    lines = [_HEAD, "## Rules", "", "| code | istioctl | level | what |", "|---|---|---|---|"]
    lines += [_row(rule.row) for rule in rules]
    lines += ["", *_others({rule.row.code for rule in rules}), "", *_not_covered(), ""]
    for rule in rules:
        lines += _section(rule)
    return "\n".join(lines).rstrip() + "\n"


def _row(row: Code) -> str:
    return f"| [{row.code}](#{_anchor(row)}) | {row.istio or '-'} | {WORDS[row.level]} | {row.title} |"


def _anchor(row: Code) -> str:
    return f"{row.code} {row.title}".lower().replace(" ", "-").replace(",", "").replace("'", "").replace(":", "").replace("`", "").replace(".", "")


def _others(ruled: set[str]) -> Iterator[str]:
    yield "## Findings of the reader and of the routes"
    yield ""
    yield "Made while files are read and gateways are built, by `gwsim run` as well as by `gwsim lint`. There are more without a"
    yield "counterpart in istioctl; `gwsim explain CODE` says what each means."
    yield ""
    yield "| code | istioctl | level | what | effect |"
    yield "|---|---|---|---|---|"
    for row in CODES.values():
        if row.istio and row.code not in ruled:
            yield f"| {row.code} | {row.istio} | {WORDS[row.level]} | {row.title} | {row.meaning} |"


def _not_covered() -> Iterator[str]:
    yield "## Codes of istioctl that are not checked"
    yield ""
    yield "| istioctl | why |"
    yield "|---|---|"
    for code, why in NOT_COVERED.items():
        yield f"| {code} | {why} |"


def _section(rule: Rule) -> Iterator[str]:
    row = rule.row
    yield f"## {row.code} {row.title}"
    yield ""
    istio = f"istioctl: {row.istio}" if row.istio else "istioctl: no code"
    yield f"`{row.name}`, {WORDS[row.level]}, {istio}."
    yield ""
    yield f"- **Reported when**: {rule.trigger}"
    yield f"- **Effect**: {row.meaning}"
    yield f"- **To do**: {rule.fix}"
    if rule.needs != "files":
        yield f"- **Needs**: {rule.needs}."
    yield f"- **Source**: {rule.source}"
    yield ""
    texts = (rule.bad,) if isinstance(rule.bad, str) else rule.bad
    for at, text in enumerate(texts):
        if isinstance(rule, ClusterRule):
            yield f"Cluster {at + 1}:"
            yield ""
        yield "```yaml"
        yield text.rstrip()
        yield "```"
        yield ""


__all__ = ["render"]
