"""Findings as data: code, level, place and help; a collector; one table of codes; a plain text renderer."""

from gwsim.diagnostics.codes import CODES, Code, Level, code
from gwsim.diagnostics.findings import Collector, Finding, Span
from gwsim.diagnostics.nearest import did_you_mean, did_you_mean_host, misspelling_of, nearest
from gwsim.diagnostics.text import render, render_all, summary

__all__ = [
    "CODES",
    "Code",
    "Collector",
    "Finding",
    "Level",
    "Span",
    "code",
    "did_you_mean",
    "did_you_mean_host",
    "misspelling_of",
    "nearest",
    "render",
    "render_all",
    "summary",
]
