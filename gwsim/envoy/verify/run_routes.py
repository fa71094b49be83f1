"""`gwsim verify routes`: which gateways, which questions, and what all of them came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gwsim.diagnostics import Collector
from gwsim.envoy.machine import fit
from gwsim.envoy.process import EnvoyFailed
from gwsim.envoy.verify.instrument import Signer
from gwsim.envoy.verify.questions import questions
from gwsim.envoy.verify.routes import Question, Tally, verify
from gwsim.envoy.verify.session import session
from gwsim.errors import InputError
from gwsim.queries import Case, read_cases
from gwsim.queries.ask import load
from gwsim.queries.topologies import NotServed, Topologies
from gwsim.topology import Proxy, TargetMissing


@dataclass(slots=True)
class Subject:
    """A proxy with the cases that ask it."""

    name: str
    proxy: Proxy
    questions: list[Question] = field(default_factory=list)


@dataclass(slots=True)
class RouteReport:
    """Everything that was asked. `failed`: proxies that Envoy would not run, with its words."""

    total: Tally = field(default_factory=Tally)
    proxies: int = 0
    failed: list[str] = field(default_factory=list)
    left_out: dict[str, None] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether every answer of every proxy was the same."""
        return not self.failed and not self.total.disagreements and self.total.asked > 0


def of_cases(paths: Sequence[str | Path], *, root: Path | None = None, istio_version: str = "1.30") -> list[Subject]:
    """The proxies that case files ask, each with its cases. What cannot be read is left to `gwsim route test`."""
    topologies = Topologies(istio_version=istio_version)
    found: dict[int, Subject] = {}
    for file in read_cases(paths, collector=Collector(), root=root):
        for case in file.cases:
            proxy = _proxy(topologies, case)
            if proxy is None or case.request is None:
                continue
            subject = found.setdefault(id(proxy), Subject(f"{Path(file.path).stem} {proxy.key}", proxy))
            subject.questions.append(Question(id=case.id, port=case.port, request=case.request, backend_delay_s=case.backend_delay_s))
    return list(found.values())


def _proxy(topologies: Topologies, case: Case) -> Proxy | None:
    if case.gateway is None or case.request is None or not case.config:
        return None
    try:
        return topologies.of(case).proxy
    except (NotServed, TargetMissing, InputError):
        return None


def of_configuration(paths: Iterable[str], *, istio_version: str = "1.30", client: str = "") -> list[Subject]:
    """The gateways of files or folders, each set by itself. Raises InputError for what cannot be read."""
    made: list[Subject] = []
    for path in paths:
        made += [Subject(f"{path} {one.key}", one) for one in load([path], istio_version=istio_version, client=client).topology.proxies]
    return made


def run(subjects: Iterable[Subject], *, generated: int, seed: int = 1, told: Callable[[str], None] = lambda text: None) -> RouteReport:
    """Start each proxy in turn and ask it its cases and `generated` more."""
    report = RouteReport()
    signer = Signer()
    for number, subject in enumerate(subjects):
        if not fit(subject.proxy)[0].listeners:
            continue
        try:
            with session(subject.proxy, signer=signer) as running:
                asked = [*subject.questions, *questions(running.proxy, count=generated, seed=seed + number)]
                tally = verify(running, asked)
                report.left_out |= dict.fromkeys(running.left_out)
        except EnvoyFailed as error:
            report.failed.append(f"{subject.name}: {error}")
            continue
        report.proxies += 1
        report.total.add(tally)
        told(f"{subject.name}: {tally.asked} requests, {tally.compared} facts, {len(tally.disagreements)} differ")
    return report


__all__ = ["RouteReport", "Subject", "of_cases", "of_configuration", "run"]
