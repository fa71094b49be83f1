"""`gwsim run`: simulate one scenario, print what it comes to, and save it."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gwsim.cli import faults
from gwsim.cli.interrupts import heard
from gwsim.cli.options import Engine, Undecided, cores
from gwsim.cli.output import Color, Format, notice, write, write_lines
from gwsim.errors import ExitCode, UsageError
from gwsim.files import folder_for_writing, write_whole
from gwsim.planning.preparation import Given, Prepared, prepare

if TYPE_CHECKING:
    from gwsim.planning.curve import Curve
    from gwsim.report.report import Report
    from gwsim.results import Results
    from gwsim.scenario.model import Model
    from gwsim.scenario.resolved import Resolved

HTML, CAPACITY = "report.html", "capacity.json"
MOST_FINDINGS = 10


class UnknownFields(StrEnum):
    """What an unknown field of an object is."""

    ERROR = "error"
    WARN = "warn"


class Summary(StrEnum):
    """How much the terminal report says."""

    COMPACT = "compact"
    FULL = "full"


def run(
    scenario: Annotated[str | None, typer.Argument(metavar="SCENARIO", help="A scenario.yaml, a folder with one (default: this folder), plain Istio YAML (files or folders: a default workload is assumed and printed), or - for YAML on standard input.", show_default=False)] = None,
    istio: Annotated[list[str] | None, typer.Argument(metavar="[ISTIO]...", help="Istio YAML instead of the scenario's own; or more plain YAML.", show_default=False)] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the scenario (clients.web.arrivals.poisson=3000rps) or of an object (VirtualService/shop/cart:spec.http[0].timeout=2s). Repeatable.", show_default=False)] = None,
    engine: Annotated[Engine, typer.Option(help="Both engines give the same result, bit by bit.")] = Engine.AUTO,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all random numbers (default: the scenario's).", show_default=False)] = None,
    replications: Annotated[int | None, typer.Option("-n", "--replications", min=1, help="Independent repetitions (default: the scenario's).", show_default=False)] = None,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="Length of a replication, e.g. 60s (default: the scenario's).", show_default=False)] = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Replications at the same time (default: all cores, 1 with the reference engine); the result is the same.", show_default=False)] = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="What is printed on standard output.")] = Format.TEXT,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where the run is saved (default: out/<scenario name>).", show_default=False)] = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Do not write report.html.")] = False,
    capacity: Annotated[bool, typer.Option("--capacity", help="Simulate other loads too, in short probes: the capacity curve of the report, and capacity.json.")] = False,
    digest: Annotated[bool, typer.Option("--digest", help="Print the digest of all request records, whatever their order.")] = False,
    costs: Annotated[str | None, typer.Option("--costs", metavar="FILE", help="Costs measured on your machine, laid over the cost profile.", show_default=False)] = None,
    fix_replicas: Annotated[bool, typer.Option("--fix-replicas", help="Let settings fix the replicas of a gateway that has an autoscaler.")] = False,
    undecided: Annotated[Undecided, typer.Option(help="Exit code of an undecided run: fail is 3, warn and pass are 0.")] = Undecided.FAIL,
    unknown_fields: Annotated[UnknownFields, typer.Option(help="What a field unknown to the Istio schema is.")] = UnknownFields.WARN,
    summary: Annotated[Summary, typer.Option(help="How much is printed.")] = Summary.COMPACT,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on standard error but errors.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="All findings, notes too.")] = False,
    color: Annotated[Color, typer.Option(help="Colour of the terminal report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Simulate a scenario: verdict, budgets, routes, where the time goes, what saturates first, what to try next."""
    given = Given(
        paths=(scenario or _here(), *(istio or ())), settings=tuple(set_ or ()), seed=seed, replications=replications,
        duration=duration, costs=costs, unknown_fields=unknown_fields.value, fix_replicas=fix_replicas,
    )
    began = time.monotonic()
    prepared = prepare(given)
    if capacity:
        _refuse_capacity(prepared.resolved)
    faults.remember(seed=prepared.resolved.model.run.seed)
    folder = folder_for_writing(out or Path("out") / prepared.name)
    _tell_findings(prepared.resolved, quiet=quiet, verbose=verbose)
    if not no_html:
        _preload()
    results, resolved = _simulate(prepared, engine, jobs, replications, digest, quiet)
    simulated = time.monotonic()
    notice(f"gwsim: {results.requests:,} requests in {simulated - began:.1f} s", quiet=quiet)
    made = _capacity(results, resolved, engine, jobs, quiet) if capacity else None
    report = _report(prepared, results, resolved, made)
    files = save(report, folder, prepared.folder, html=False)
    show(report, folder, files if no_html else [HTML, *files], output, summary, color)
    if not no_html:  # the answer first: drawing takes a while
        write_whole(folder / HTML, _html(report.relative_to(prepared.folder)))
    if digest:
        _tell_digest(results, output)
    raise typer.Exit(exit_code(report, undecided, quiet=quiet))


def _here() -> str:
    """This folder, where it holds a scenario."""
    if not Path("scenario.yaml").is_file():
        raise UsageError("nothing to run: give a scenario or Istio YAML, or write an example with gwsim init")
    return "."


def _simulate(
    prepared: Prepared, engine: Engine, jobs: int | None, replications: int | None, digest: bool, quiet: bool
) -> tuple[Results, Resolved]:
    """Settle the replicas, then run; gives the results and the scenario at the replicas it was run with."""
    from gwsim.cli.progress import Bar
    from gwsim.engine import suited
    from gwsim.engine.features import is_ready, missing
    from gwsim.planning.cases import run_case

    asked, engine = engine, Engine(suited(prepared.resolved.model, engine.value))
    if engine is not asked:
        lacking = "; ".join(missing(prepared.resolved.model))
        notice(f"gwsim: the reference engine simulates, about a hundred times slower: the compiled one lacks {lacking}", quiet=quiet)
    compiling = engine is Engine.AUTO and not is_ready(prepared.resolved.model)  # takes a core of its own meanwhile
    workers = jobs or (1 if engine is Engine.REFERENCE or compiling else cores())
    _tell_compile(engine, prepared.resolved.model, quiet)
    with heard(), Bar(enabled=not quiet) as bar:
        done = run_case(
            prepared, engine=engine.value, replications=replications, workers=workers, digest=digest, progress=bar
        )
    return done.results, done.resolved


def _preload() -> None:
    """Import what draws while the kernels simulate: they hold no lock of the interpreter."""
    import importlib
    import threading

    def load() -> None:
        for name in ("gwsim.report.html", "gwsim.report.figures"):
            importlib.import_module(name)

    threading.Thread(target=load, daemon=True).start()


def _tell_compile(engine: Engine, model: Model, quiet: bool) -> None:
    """Why a first run takes longer, told once: the next one finds the machine code."""
    if engine is Engine.REFERENCE:
        return
    from gwsim.engine.features import is_ready

    if not is_ready(model):
        meanwhile = "" if engine is Engine.COMPILED else " while the reference engine begins"
        notice(f"gwsim: compiling the engine{meanwhile} (first run only, cached afterwards) ...", quiet=quiet)


def _refuse_capacity(resolved: Resolved) -> None:
    from gwsim.planning.curve import refuse

    refuse(resolved)


def _capacity(results: Results, resolved: Resolved, engine: Engine, jobs: int | None, quiet: bool) -> Curve:
    """Probe other loads, with the replicas that the run settled at."""
    from gwsim.engine import suited
    from gwsim.planning.curve import curve
    from gwsim.planning.executors import executor

    name = suited(resolved.model, engine.value)
    began, reference = time.monotonic(), name == Engine.REFERENCE.value
    with heard(), executor("processes" if reference else "threads", jobs or (1 if reference else cores())) as pool:
        made = curve(resolved, pool, first=results.bottleneck.first, engine=name)
    notice(f"gwsim: {made.requests:,} more at {len(made.points)} loads in {time.monotonic() - began:.1f} s", quiet=quiet)
    return made


def _report(prepared: Prepared, results: Results, resolved: Resolved, capacity: Curve | None) -> Report:
    from gwsim.report.report import Report

    return Report.of(
        results, resolved, project=prepared.project, target=prepared.given.target, given=prepared.given.words, capacity=capacity,
    )


def save(report: Report, folder: Path, base: Path, *, html: bool) -> list[str]:
    """Save a run with its reports; gives the names of the files written. `base` is where paths are told from."""
    from gwsim.report.report import KEY, as_plain
    from gwsim.results.store import ARRAYS, PROVENANCE, RUN, save

    text = _html(report.relative_to(base)) if html else None
    (folder / HTML).unlink(missing_ok=True)
    provenance: dict[str, Any] = {KEY: as_plain(report), "base": str(base)}
    save(report.results, folder, provenance=provenance)
    if text is not None:
        write_whole(folder / HTML, text)
    (folder / CAPACITY).unlink(missing_ok=True)
    if report.capacity is not None:
        from gwsim.planning.curve import as_plain as curve_plain
        from gwsim.planning.points import text_of

        write_whole(folder / CAPACITY, text_of(curve_plain(report.capacity)))
    return [*([HTML] if html else []), RUN, ARRAYS, PROVENANCE, *([CAPACITY] if report.capacity is not None else [])]


def _html(report: Report) -> str:
    from gwsim.report import html

    return html.render(report)


def show(report: Report, folder: Path, files: list[str], output: Format, summary: Summary, color: Color) -> None:
    """Print the report."""
    if output is Format.JSON:
        from gwsim.report.json import saved

        write(saved(folder))
        return
    from gwsim.report import text

    wrote = [f"{folder}/", *files]
    write_lines(text.full(report, wrote) if summary is Summary.FULL else text.compact(report, wrote), color)


def exit_code(report: Report, undecided: Undecided, *, quiet: bool) -> int:
    """The exit code of a report, as `--undecided` has it."""
    code = report.headline.exit_code
    if code is ExitCode.UNDECIDED and undecided is not Undecided.FAIL:
        if undecided is Undecided.WARN:
            notice(f"gwsim: warning: undecided: {report.headline.sentence}", quiet=quiet)
        return int(ExitCode.OK)
    return int(code)


def _tell_digest(results: Results, output: Format) -> None:
    """The sum of the hashes of all records is the same in whatever order they come."""
    total = sum(int(raw.digest) for raw in results.raws) % 2**64
    text = f"DIGEST      {total:016x}  (all request records)"
    if output is Format.JSON:
        notice(text)
    else:
        write(text + "\n")


def _tell_findings(resolved: Resolved, *, quiet: bool, verbose: bool) -> None:
    from gwsim.diagnostics import Level, render, summary

    shown = [one for one in resolved.findings if verbose or one.level is not Level.INFO]
    if quiet or not shown:
        return
    for one in shown if verbose else shown[:MOST_FINDINGS]:
        notice(render(one))
    left = "" if verbose or len(shown) <= MOST_FINDINGS else f" ({len(shown) - MOST_FINDINGS} not shown, -v shows all)"
    notice(f"gwsim: {summary(resolved.findings)}{left}")


__all__ = ["Summary", "Undecided", "exit_code", "run", "save", "show"]
