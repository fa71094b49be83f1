"""The application: all commands under one name."""

from __future__ import annotations

from typing import Annotated

import typer

from gwsim.cli import (
    backtest,
    batch,
    cache,
    calibrate,
    check,
    compare,
    diff,
    emit,
    envoy,
    explain,
    import_,
    init,
    lint,
    plan,
    report,
    route,
    run,
    schema,
    show,
    sweep,
    topology,
    uncertainty,
    verify,
    version,
    warmup,
)

HELP = """Traffic simulation and capacity modelling for Istio gateways, from real configuration.

Exit codes, the same for every output format: 0 fine; 1 the answer is no (a budget failed, or the system is
saturated or metastable); 2 the input or the usage is wrong; 3 undecided; 70 a fault inside gwsim; 130 interrupted.
"""


def application() -> typer.Typer:
    """The typer application, made afresh."""
    app = typer.Typer(
        help=HELP, no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_global)
    app.command("run", short_help="Simulate a scenario and report on it.")(run.run)
    app.command("sweep", short_help="Run a scenario at every point of a grid.")(sweep.sweep)
    app.command("uncertainty", short_help="Carry ranges of inputs to ranges in the answer.")(uncertainty.uncertainty)
    app.command("batch", short_help="Run many scenarios into one table.")(batch.batch)
    app.command("compare", short_help="Hold one run against another.")(compare.compare)
    app.command("backtest", short_help="Hold a scenario against what Prometheus recorded.")(backtest.backtest)
    app.command("calibrate", short_help="Measure what requests cost a real Envoy here.")(calibrate.calibrate)
    app.command("plan", short_help="Find the cheapest fleet that holds the budgets.")(plan.plan)
    app.command("check", short_help="Hold the budgets of scenarios, as a gate.")(check.check)
    app.command("lint", short_help="Check configuration, from files alone.")(lint.lint)
    app.command("import", short_help="Make parts of a scenario from logs and metrics.")(import_.import_)
    app.command("init", short_help="Write a commented example project.")(init.init)
    app.command("report", short_help="Report on a saved run again.")(report.report)
    app.command("topology", short_help="Draw a scenario or a saved run.")(topology.topology)
    app.command("emit", short_help="Metrics, logs and spans of a saved run.")(emit.emit)
    app.add_typer(route.commands(), name="route", short_help="Ask where a request goes, and test it.")
    app.command("show", short_help="Show listeners, routes, clusters, endpoints.")(show.show)
    app.command("diff", short_help="Compare configuration with a config_dump.")(diff.diff)
    app.add_typer(envoy.commands(), name="envoy", short_help="The gateways as a real Envoy on this machine.")
    app.add_typer(verify.commands(), name="verify", short_help="Hold the simulator against a real Envoy.")
    app.command("explain", short_help="Explain a code, a response flag or a field.")(explain.explain)
    app.command("schema", short_help="Print the JSON Schema of scenarios or runs.")(schema.schema)
    app.command("warmup", short_help="Compile the engine now.")(warmup.warmup)
    app.command("version", short_help="Print the version.")(version.version)
    app.add_typer(cache.commands(), name="cache", short_help="The engine's machine code: info, clear.")
    return app


def _global(
    show_version: Annotated[
        bool, typer.Option("--version", callback=version.show_and_end, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of a fault inside gwsim.")] = False,
) -> None:
    pass


__all__ = ["application"]
