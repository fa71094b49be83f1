"""A calibration from beginning to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from gwsim.costs import VisitCosts
from gwsim.envoy.calibrate import loop as loop_model
from gwsim.envoy.calibrate import rounds, service_time
from gwsim.envoy.calibrate.bench import Bench, bench
from gwsim.envoy.calibrate.profile import Calibration, laid_over_shipped
from gwsim.envoy.calibrate.rounds import Rounds
from gwsim.envoy.calibrate.service_time import Loaded
from gwsim.envoy.calibrate.subjects import BASE, SUBJECTS, OfUser, Subject
from gwsim.envoy.workers import machine_class


def calibrate(own: OfUser | None = None, *, realtime: bool = False, seed: int = 1, told: Callable[[str, int, int], None] = lambda *_: None) -> Calibration:
    """Measure this machine: about a minute and a half.

    Raises UndecidedError when the host is too noisy for an answer, EnvoyFailed or UsageError when it cannot be measured.
    """
    own = own or OfUser()
    subjects = (*SUBJECTS, *own.subjects)
    began = time.monotonic()
    with bench(subjects, realtime=realtime) as made:
        found = rounds.measure(made, subjects, seed=seed, told=lambda done, total: told("costs of requests and connections", done, total))
        rounds.check(found)
        closed = (float(np.median(found.kept(BASE))), found.sleeps(BASE))
        points = service_time.measure(made, closed[0], seed=seed, told=lambda done, total: told("service time under load", done, total))
        loaded = _under_load(made, found, subjects, seed, told)
        version = made.version
    loop = service_time.fit(points, closed, seed=seed)
    rows, limit = rounds.rows(found, subjects, wakeup_s=loop.wakeup_s, wakeup_spread_s=loop.wakeup_spread_s, seed=seed)
    warm = Calibration(
        rows=tuple(rows), limit_s=limit, loop=loop, points=tuple(points), rejected=found.rejected, refused=found.refused,
        machine=machine_class(), date=datetime.now(UTC).strftime("%Y-%m-%d"), envoy=version, realtime=realtime,
        seconds=time.monotonic() - began, left_out=own.left_out,
    )  # fmt: skip
    extras = _extras(warm, loaded, seed)
    return replace(warm, under_load=extras, under_load_rest={name: max(loaded[name].service_s - one, 0.0) for name, one in extras.items()})


def _under_load(bench: Bench, found: Rounds, subjects: Sequence[Subject], seed: int, told: Callable[[str, int, int], None]) -> dict[str, Loaded]:
    """Handshakes and filters under open-loop load."""
    wanted = [one for one in subjects if (one.handshake or one.spec) and len(found.kept(one.name))]
    made = {}
    for number, one in enumerate(wanted):
        loaded = service_time.under_load(bench, one, float(np.median(found.kept(one.name))), seed=seed)
        if loaded is not None:
            made[one.name] = loaded
        told("handshakes and filters under load", number + 1, len(wanted))
    return made


def _extras(warm: Calibration, loaded: Mapping[str, Loaded], seed: int) -> dict[str, float]:
    """What each adds to a request, given all the rest."""
    profile = laid_over_shipped(warm)
    made = {}
    for row in warm.rows:
        one = row.subject
        if one.name not in loaded or not row.resolved or row.net_s <= 0:
            continue
        traffic = loop_model.Traffic(connections=service_time.CONNECTIONS, per_connection=int(one.drive == "new"), tls=bool(one.certificate))
        base = loop_model.priced_by(profile, tls=traffic.tls)

        def cost_at(extra: float, base: VisitCosts = base, secured: bool = traffic.tls) -> VisitCosts:
            if secured:
                return replace(base, client_hello_full_s=max(extra - base.finished_full_s, 0.0))
            return replace(base, read_s=base.read_s + extra)

        made[one.name] = service_time.extra(loaded[one.name], row.net_s, cost_at, upstream_s=warm.loop.upstream_s, traffic=traffic, seed=seed)
    return made


__all__ = ["calibrate"]
