"""A calibration from beginning to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from gwsim.envoy.calibrate import rounds, service_time
from gwsim.envoy.calibrate.bench import bench
from gwsim.envoy.calibrate.profile import Calibration
from gwsim.envoy.calibrate.subjects import BASE, SUBJECTS, OfUser
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
        version = made.version
    loop = service_time.fit(points, closed, seed=seed)
    rows, limit = rounds.rows(found, subjects, wakeup_s=loop.wakeup_s, seed=seed)
    return Calibration(
        rows=tuple(rows), limit_s=limit, loop=loop, points=tuple(points), rejected=found.rejected, refused=found.refused,
        machine=machine_class(), date=datetime.now(UTC).strftime("%Y-%m-%d"), envoy=version, realtime=realtime,
        seconds=time.monotonic() - began, left_out=own.left_out,
    )  # fmt: skip


__all__ = ["calibrate"]
