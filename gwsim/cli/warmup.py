"""`gwsim warmup`: compile the engine now, and see that it does what the reference engine does."""

from __future__ import annotations

import typer

from gwsim.cli.output import notice, write
from gwsim.errors import InternalError

SETTINGS = ("run.duration=500ms", "run.warmup=0s")


def warmup() -> None:
    """Compile the engine, for images and build machines; a small run is compared with the reference engine."""
    import time

    from gwsim.engine.cache import cache_directory, is_warm
    from gwsim.engine.race import compile_all

    began, warm = time.monotonic(), is_warm()
    if not warm:
        notice("gwsim: compiling the engine ...")
        if cache_directory() is not None:
            compile_all()
    requests = _self_test()
    folder = cache_directory()
    where = f"kept in {folder}" if folder else "the cache folder cannot be written to, so every run compiles again"
    write(f"{'was compiled already' if warm else 'compiled'} in {time.monotonic() - began:.1f} s, {where}\n")
    write(f"self-test: {requests:,} requests, both engines agree to the last bit\n")
    raise typer.Exit(0)


def _self_test() -> int:
    """The example project through both engines; gives the number of requests. InternalError when they differ."""
    import tempfile

    from gwsim.engine import run
    from gwsim.engine.schema import Options, differences
    from gwsim.scenario import open_project, resolve, write_template

    with tempfile.TemporaryDirectory() as folder:
        write_template(folder)
        project = open_project(folder, set_=SETTINGS)
        model = resolve(project.loaded, project.topology).model
    options = Options(digest=True)
    compiled, reference = (run(model, 0, engine=name, options=options) for name in ("compiled", "reference"))
    different = differences(compiled, reference)
    if different:
        raise InternalError(f"the engines differ in {', '.join(different)}")
    return int(compiled.requests[0])


__all__ = ["warmup"]
