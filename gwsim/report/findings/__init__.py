"""Findings as text, JSON, SARIF and GitHub annotations: renderers over one list, in one order."""

from gwsim.report.findings.github import render as github
from gwsim.report.findings.json import render as json
from gwsim.report.findings.sarif import render as sarif
from gwsim.report.findings.text import render as text

__all__ = ["github", "json", "sarif", "text"]
