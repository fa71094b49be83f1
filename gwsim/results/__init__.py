"""Results of a run: figures with intervals, verdicts, budgets, frames, saved runs.

    results = Results.of(resolved, raws)

`results` holds the object, `parts` what it is made of, `labels` the names it carries; `histograms`, `intervals`,
`warmup` and `verdicts` the statistics; `budgets` the limits of a scenario; `frames` pandas; `store` saved runs.
"""

from gwsim.results.intervals import LEVEL, Estimate, Quality
from gwsim.results.labels import Labels, labels_of
from gwsim.results.parts import Status, Traffic, Verdict
from gwsim.results.results import Results, build
from gwsim.results.warmup import Warmup

__all__ = [
    "LEVEL",
    "Estimate",
    "Labels",
    "Quality",
    "Results",
    "Status",
    "Traffic",
    "Verdict",
    "Warmup",
    "build",
    "labels_of",
]
