"""Doing independent pieces of work on several cores: the same answers in the same order, whatever the number.

Threads serve the compiled engine, whose kernels release the interpreter lock; processes serve the reference
engine, which is Python; a Dask cluster serves when one machine is not enough. Processes are started afresh (spawn), so a script that uses them needs the usual
`if __name__ == "__main__":`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor as Futures
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

from gwsim._version import __version__
from gwsim.errors import UsageError

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Executor(Protocol):
    """Something that does pieces of work."""

    def map(
        self, work: Callable[[Task], Answer], tasks: Sequence[Task], done: Callable[[Answer], None] | None = None
    ) -> list[Answer]:
        """The answers in the order of `tasks`; `done` is told of each as it comes. The first error is raised."""
        ...


class Serial:
    """One piece after another, here."""

    def map(
        self, work: Callable[[Task], Answer], tasks: Sequence[Task], done: Callable[[Answer], None] | None = None
    ) -> list[Answer]:
        """See `Executor.map`."""
        answers = []
        for task in tasks:
            answers.append(work(task))
            if done is not None:
                done(answers[-1])
        return answers


class Pooled:
    """Pieces spread over a pool of threads or processes; with processes, work and tasks must pickle."""

    def __init__(self, pool: Futures) -> None:
        self._pool = pool

    def map(
        self, work: Callable[[Task], Answer], tasks: Sequence[Task], done: Callable[[Answer], None] | None = None
    ) -> list[Answer]:
        """See `Executor.map`."""
        futures = [self._pool.submit(work, task) for task in tasks]
        try:
            for future in as_completed(futures):
                answer = future.result()
                if done is not None:
                    done(answer)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        return [future.result() for future in futures]


class Distributed:
    """Pieces sent to the workers of a Dask cluster; one that dies gives its pieces back, and another does them."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def map(
        self, work: Callable[[Task], Answer], tasks: Sequence[Task], done: Callable[[Answer], None] | None = None
    ) -> list[Answer]:
        """See `Executor.map`."""
        with self._client.as_current():
            return self._map(work, tasks, done)

    def _map(
        self, work: Callable[[Task], Answer], tasks: Sequence[Task], done: Callable[[Answer], None] | None
    ) -> list[Answer]:
        as_completed = _distributed().as_completed
        # pure=False: equal tasks are not merged, so every answer is counted
        futures = [self._client.submit(work, task, pure=False, retries=3) for task in tasks]
        try:
            for future in as_completed(futures):
                answer = future.result()
                if done is not None:
                    done(answer)
            return [future.result() for future in futures]
        finally:
            self._client.cancel(futures)


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """An executor on a running Dask cluster, e.g. `tcp://10.0.0.5:8786`.

    Every worker needs the same version of gwsim, and the scenario's files under the same path. Raises UsageError
    where dask.distributed is missing or nothing answers there.
    """
    try:
        client = _distributed().Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler answers at {address}: {error}") from None
    try:
        client.run(_same_version, __version__)
        yield Distributed(client)
    finally:
        client.close()


def _distributed() -> Any:
    from importlib import import_module

    try:
        return import_module("distributed")
    except ImportError:
        raise UsageError("a Dask cluster needs dask.distributed: pip install 'istio-gwsim[distributed]'") from None


def _same_version(wanted: str) -> None:
    from gwsim._version import __version__ as here

    if here != wanted:
        raise UsageError(f"a Dask worker has gwsim {here}, this is {wanted}")


@contextmanager
def executor(kind: Literal["threads", "processes"], workers: int) -> Iterator[Executor]:
    """An executor of `workers` threads or processes, closed at the end; with one worker, none is started.

    Raises ValueError for fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"there must be at least one worker, not {workers}")
    if workers == 1:
        yield Serial()
        return
    pool: Futures
    if kind == "threads":
        pool = ThreadPoolExecutor(workers)
    else:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield Pooled(pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
