"""`gwsim cache`: the machine code of the compiled engine, kept between runs."""

from __future__ import annotations

import typer

from gwsim.cli.output import write


def commands() -> typer.Typer:
    """The two commands of the group."""
    group = typer.Typer(help="The compiled engine's machine code: where it is kept, and how to be rid of it.", no_args_is_help=True, rich_markup_mode=None)
    group.command("info")(info)
    group.command("clear")(clear)
    return group


def info() -> None:
    """Print where the machine code is kept, how large it is, and whether this version's is there."""
    from gwsim.engine.cache import KERNELS, PREFIX, cache_root, is_warm, source_hash

    root = cache_root()
    write(f"folder    {root}\n")
    lacking = " and ".join(name for name in KERNELS if not is_warm(name))
    write(f"current   {PREFIX}{source_hash()} ({f'{lacking} not compiled yet: gwsim warmup' if lacking else 'ready'})\n")
    for folder in sorted(root.glob(f"{PREFIX}*")):
        files = [path for path in folder.rglob("*") if path.is_file()]
        write(f"          {folder.name}  {sum(path.stat().st_size for path in files) / 2**20:.1f} MiB, {len(files)} files\n")


def clear() -> None:
    """Remove the machine code of every version; the next run compiles again."""
    import shutil

    from gwsim.engine.cache import PREFIX, cache_root

    folders = sorted(cache_root().glob(f"{PREFIX}*"))
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    write(f"removed {len(folders)} {'folder' if len(folders) == 1 else 'folders'} from {cache_root()}\n")


__all__ = ["commands"]
