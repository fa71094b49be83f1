"""What users say they know is kept quiet, and only that."""

from lint_calls import lint

from gwsim.diagnostics import Level
from gwsim.topology.lint import Selection

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop{annotations}}}
spec:
  ports:
  - {{name: web, port: 80}}{comment}
"""


def _codes(report):
    return [one.code for one in report.findings]


def _service(annotations="", comment=""):
    return SERVICE.format(annotations=f", annotations: {{{annotations}}}" if annotations else "", comment=comment)


def test_an_annotation_names_codes_of_either_tool_or_all():
    assert _codes(lint(_service())) == ["GW0414"]
    for said in ("gwsim.dev/ignore: GW0414", "gwsim.dev/ignore: 'IST0103, ist0118'", "gwsim.dev/ignore: '*'",
                 "galley.istio.io/analyze-suppress: IST0118", "galley.istio.io/analyze-suppress: '*'"):
        report = lint(_service(said))
        assert not report.findings and report.suppressed == 1, said
    assert _codes(lint(_service("gwsim.dev/ignore: GW0415"))) == ["GW0414"]


def test_an_annotation_holds_for_its_object_only():
    report = lint(_service("gwsim.dev/ignore: GW0414") + "---\n" + _service().replace("name: web, namespace", "name: other, namespace"))
    assert [one.object_ref for one in report.findings] == ["Service/shop/other ports[0]"]


def test_a_comment_holds_for_its_line_or_the_next():
    assert not lint(_service(comment="  # gwsim: ignore[GW0414]")).findings
    assert not lint(_service(comment="  # gwsim: ignore")).findings
    assert _codes(lint(_service(comment="  # gwsim: ignore[GW0101]"))) == ["GW0414"]
    above = _service().replace("  - {name", "  # gwsim: ignore[IST0118]\n  - {name")
    assert not lint(above).findings
    wrong = _service().replace("spec:", "# gwsim: ignore[IST0118]\nspec:")
    assert _codes(lint(wrong)) == ["GW0414"]


def test_a_comment_for_the_file():
    report = lint("# gwsim: ignore-file[GW0414]\n" + _service())
    assert not report.findings and report.suppressed == 1


def test_selection_by_code_part_and_object():
    assert not lint(_service(), selection=Selection(ignore=("GW04",))).findings
    assert not lint(_service(), selection=Selection(ignore=("IST0118=Service/shop/*",))).findings
    assert _codes(lint(_service(), selection=Selection(ignore=("IST0118=Service/other/*",)))) == ["GW0414"]
    assert not lint(_service(), select="GW0101").findings
    assert _codes(lint(_service(), select="IST0118")) == ["GW0414"]


def test_levels_of_ones_own():
    report = lint(_service(), levels={"IST0118": Level.ERROR})
    assert [one.level for one in report.findings] == [Level.ERROR]
