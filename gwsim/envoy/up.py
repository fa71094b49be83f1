"""`gwsim envoy up`: the gateways of a scenario and its backends, running on this machine until told to stop."""

from __future__ import annotations

import contextlib
import shlex
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from gwsim.diagnostics import Collector
from gwsim.envoy.backends import BackendProcess
from gwsim.envoy.certificates import Authority
from gwsim.envoy.machine import Placed, fit, place, seats
from gwsim.envoy.process import RealEnvoy
from gwsim.envoy.stations import staff
from gwsim.envoy.stock import free_ports
from gwsim.errors import InputError, UsageError
from gwsim.scenario import resolve
from gwsim.scenario.project import Project
from gwsim.scenario.resolved import Resolved
from gwsim.topology import Listener, Proxy, TargetMissing

Say = Callable[[str], None]


def run(project: Project, *, say: Say, seconds: float | None, workers: int) -> None:
    """Run until a signal (Ctrl-C, SIGTERM) or the time is over; everything started is ended then."""
    resolved = _resolved(project, say)
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(prefix="gwsim-") as name:
        placed: list[Placed] = []
        authority = Authority(Path(name) / "certificates")
        for at, proxy in enumerate(project.topology.proxies):
            made = _start(stack, proxy, Path(name) / str(at), authority, resolved, say, workers)
            if made is not None:
                placed.append(made)
        if not placed:
            raise UsageError("no gateway listens on anything")
        for line in curls(project, placed):
            say(line)
        say("Ctrl-C ends it." if seconds is None else f"It ends after {seconds:g} s.")
        with _stopped() as stop:
            stop.wait(seconds)
    say("Everything has ended.")


def _resolved(project: Project, say: Say) -> Resolved | None:
    """The model of the scenario, for its backends; without it they answer at once."""
    try:
        return resolve(project.loaded, project.topology, collector=Collector(), fix_replicas=True)
    except InputError as error:
        say(f"backends answer at once: the scenario's cannot be used ({str(error).splitlines()[0]})")
        return None


def _start(
    stack: contextlib.ExitStack, proxy: Proxy, folder: Path, authority: Authority, resolved: Resolved | None, say: Say, workers: int
) -> Placed | None:
    known, left_out = fit(proxy)
    if not known.listeners:
        return None
    places = seats(known)
    staffed = staff(places, resolved)
    pair = authority.issue("backend", kind="p256", hosts=("localhost",))
    backends = stack.enter_context(BackendProcess(endpoints=staffed.endpoints, stations=staffed.stations, pair=pair))
    *ports, admin = free_ports(len(known.listeners) + 1)
    where = dict(zip([one.name for one in places], backends.ports, strict=True))
    placed = place(known, ports=ports, backends=where, authority=authority)
    written = placed.bootstrap(folder, admin_port=admin).write()
    stack.enter_context(RealEnvoy(written, admin_port=admin, concurrency=workers))
    say(f"{proxy.qualified.lstrip('/')}: admin page at http://127.0.0.1:{admin}")
    for one, port in zip(known.listeners, ports, strict=True):
        say(f"  port {one.port} is 127.0.0.1:{port} ({one.name})")
    for text in left_out:
        say(f"  left out: {text}")
    return placed


def curls(project: Project, placed: list[Placed]) -> Iterator[str]:
    """A command for every entry of every client's mix."""
    for name, client in project.loaded.scenario.clients.items():
        if client.target is None:
            continue
        try:
            proxy, listener = project.topology.resolve(client.target)
        except TargetMissing:
            continue
        here = next((one for one in placed if one.original.qualified == proxy.qualified), None)
        port = here.port_of(listener) if here is not None else None
        if port is None:
            continue
        yield f"client {name}:"
        for entry in client.mix:
            host = (entry.host or client.sni or "localhost").partition(":")[0]
            yield "  " + _curl(host, port, listener, entry.method, entry.path, entry.headers)


def _curl(host: str, port: int, listener: Listener, method: str, path: str, headers: dict[str, str]) -> str:
    encrypted = any(chain.tls is not None for chain in listener.filter_chains)
    words = ["curl", "-sk", "-i"]
    if method != "GET":
        words += ["-X", method]
    for key, value in headers.items():
        words += ["-H", f"{key}: {value}"]
    if encrypted:
        # The name must be that of the handshake, so the address is told apart from it.
        words += ["--resolve", f"{host}:{port}:127.0.0.1", f"https://{host}:{port}{path}"]
    else:
        words += ["-H", f"host: {host}", f"http://127.0.0.1:{port}{path}"]
    return shlex.join(words)


@contextlib.contextmanager
def _stopped() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, instead of what they do otherwise."""
    event = threading.Event()

    def heard(number: int, frame: FrameType | None) -> None:
        event.set()

    before = {one: signal.signal(one, heard) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


__all__ = ["curls", "run"]
