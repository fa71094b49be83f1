"""What the Python API shows in a notebook or on a terminal: progress bars, figures, text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Bar:
    """Progress by rich: on a terminal, and in a notebook that has ipywidgets; nothing where nobody looks."""

    def __init__(self, wanted: bool | None, total: int = 0) -> None:
        self._wanted, self._total = wanted, total
        self._bar: Any = None
        self.replication: Callable[[Any], None] | None = None
        self.point: Callable[[Any], None] | None = None

    def __enter__(self) -> Bar:
        import sys
        from importlib.util import find_spec

        shown = self._wanted if self._wanted is not None else in_notebook() or sys.stderr.isatty()
        if shown and in_notebook():
            shown = find_spec("ipywidgets") is not None  # without it rich prints a warning instead of a bar
        if shown:
            from rich.progress import Progress

            self._bar = Progress(transient=True)
            task = self._bar.add_task("simulating", total=self._total or None)
            self._bar.start()
            self.replication = lambda one: self._bar.update(task, total=one.total, completed=one.done, description=one.stage)
            self.point = lambda _: self._bar.advance(task)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def in_notebook() -> bool:
    """Whether Jupyter shows what this process prints."""
    import sys

    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def shown_in_notebook(figure: Figure) -> Figure:
    """The figure; in a notebook that cannot draw figures yet (nothing has made one by pyplot), Jupyter is taught to."""
    if in_notebook():
        from IPython import get_ipython
        from IPython.core import pylabtools

        shell = get_ipython()
        formatters = shell.display_formatter.formatters
        if not any(type(figure) in formatters[kind].type_printers for kind in ("image/png", "image/svg+xml", "application/pdf")):
            teach: Any = pylabtools.select_figure_formats
            teach(shell, {"png"})
    return figure


def preformatted(text: str) -> str:
    """Text as HTML that keeps its columns."""
    from html import escape

    return f'<pre style="line-height:1.25;font-size:85%;overflow-x:auto">{escape(text)}</pre>'


__all__ = ["Bar", "in_notebook", "preformatted", "shown_in_notebook"]
