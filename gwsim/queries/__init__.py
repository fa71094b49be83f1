"""Questions to a topology: one request, or files of route tests (requests with the answer they should get).

`read_cases` reads the files, `run_cases` routes every request through the topology of its own configuration and
compares, `coverage_of` tells which routes no case reached.
"""

from gwsim.queries.actual import actual_of
from gwsim.queries.case import Case, CaseFile, GatewayRef, read_cases
from gwsim.queries.coverage import Coverage, coverage_of
from gwsim.queries.run import CaseResult, Status, run_cases

__all__ = [
    "Case",
    "CaseFile",
    "CaseResult",
    "Coverage",
    "GatewayRef",
    "Status",
    "actual_of",
    "coverage_of",
    "read_cases",
    "run_cases",
]
