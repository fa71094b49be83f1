"""Uncertain inputs against cases whose answer is known: a linear response, M/M/1, tables with a known split."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gwsim.errors import InputError, UsageError
from gwsim.planning.executors import Serial
from gwsim.planning.inputs import Input, Range, cost_inputs, inputs_of, parse_input, ranged
from gwsim.planning.points import text_of
from gwsim.planning.preparation import Given, prepare
from gwsim.planning.uncertainty import Uncertainty, hypercube, split, uncertainty
from gwsim.results.evaluation import Answer

COMMON = Path(__file__).parents[2] / "scenarios" / "common"
SCENARIO = """\
apiVersion: gwsim/v1
question: "What does the service time do?"
clusters:
  east: {{config: [{common}/gateway.yaml, {common}/entry.yaml, {common}/shop.yaml, {common}/cart-route.yaml], node: {{cpus: 8}}}}
clients:
  web:
    target: east/Service/istio-system/istio-ingressgateway:80
    arrivals: {{poisson: {rate}}}
    connection: {{http: 1, count: 20, tls: none}}
    rtt: 2ms
    mix: [{{name: cart, host: shop.example.com, path: /cart}}]
backends:
  east/cart.shop: {{service_time: {{exponential: 40ms}}{servers}}}
run: {{kind: steady, duration: {length}, warmup: 1s, replications: 4, seed: 1}}
{further}
"""
SERVICE = "backends.east/cart.shop.service_time.exponential"


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Given]:
    """A case of one gateway before a backend with exponential service times."""

    def make(further: str = "", *, rate: str = "20rps", servers: str = "", length: str = "9s", settings: tuple[str, ...] = ()) -> Given:
        file = tmp_path / "scenario.yaml"
        file.write_text(SCENARIO.format(common=COMMON, rate=rate, servers=servers, length=length, further=further), "utf-8")
        return Given(paths=(str(file),), settings=settings)

    return make


def run(given: Given, *inputs: str, **more: object) -> Uncertainty:
    """One run after another."""
    found = inputs_of(prepare(given), inputs, costs="none")
    return uncertainty(given, found, Serial(), **more)  # type: ignore[arg-type]


def test_a_linear_response_is_split_as_known(scenario: Callable[..., Given]) -> None:
    """Without a queue the mean is the mean service time plus what does not change: its variance is that of the input."""
    made = run(scenario(), f"{SERVICE}=20ms..60ms", samples=12, figures=("client.latency mean",))
    (spread,) = made.spreads
    assert spread.input_error == pytest.approx(0.040 / math.sqrt(12.0), rel=0.12)  # 12 samples of a uniform one
    assert spread.simulation_error == pytest.approx(0.040 / math.sqrt(4 * 160), rel=0.75)  # 4 runs of 160 exponential ones
    assert spread.input_share is not None and spread.input_share > 0.9
    (bar,) = made.tornado(made.figures[0])
    assert bar.swing_low is not None and bar.swing_high is not None and bar.clear
    assert bar.swing_low < 0.040 < bar.swing_high  # equal draws: each service time three times as long
    assert spread.low is not None and spread.high is not None and bar.low is not None and bar.high is not None
    assert bar.low < spread.low < spread.high < bar.high
    assert spread.answer is None and made.exit_code == 0


def test_the_mean_of_mm1_moves_as_it_should(scenario: Callable[..., Given]) -> None:
    """One server at 10 rps: mean 1 / (1/s - 10), so from 40 ms to 50 ms it goes up by 33.3 ms; the network does nothing like it."""
    one_server = ("Deployment/shop/cart:spec.replicas=1",)
    given = scenario(rate="10rps", servers=", concurrency: 1", length="120s", settings=(*one_server, "run.replications=5"))
    made = run(given, "clients.web.rtt=1ms..3ms", f"{SERVICE}=40ms..50ms", samples=5, figures=("client.latency mean",))
    first, second = made.tornado(made.figures[0])
    assert first.name == SERVICE and second.name == "clients.web.rtt"
    assert first.swing_low is not None and first.swing_high is not None
    middle, reach = (first.swing_low + first.swing_high) / 2.0, (first.swing_high - first.swing_low) / 2.0
    assert abs(middle - (0.1 - 0.04 / 0.6)) < 2.5 * reach < 0.05
    assert second.low is not None and second.high is not None
    assert second.high - second.low == pytest.approx(0.002, rel=0.05)  # to the nanosecond but for ties at the workers


def test_tables_with_a_known_split() -> None:
    """Input effect, luck of a replication and the rest, each of known variance."""
    rng = np.random.default_rng(1)
    n, r = 400, 200
    table = 3.0 * rng.standard_normal(n)[:, None] + 0.5 * rng.standard_normal(r)[None, :] + 2.0 * rng.standard_normal((n, r))
    inputs, simulation = split(table)
    assert inputs == pytest.approx(3.0, rel=0.1)
    assert simulation == pytest.approx(math.sqrt((0.25 + 4.0) / r), rel=0.1)
    assert split(np.tile(rng.standard_normal(r), (n, 1)))[0] == 0.0


def test_a_hypercube_has_one_value_in_each_part() -> None:
    made = hypercube(3, 20, seed=4)
    assert (np.sort(np.floor(made * 20), axis=0) == np.arange(20)[:, None]).all()
    assert (made == hypercube(3, 20, seed=4)).all() and (made != hypercube(3, 20, seed=5)).any()


def test_saturated_samples_leave_the_range_open(scenario: Callable[..., Given]) -> None:
    """Above 25 rps one server of 40 ms has no steady state; the budget then holds in some samples, not in all: undecided."""
    given = scenario(
        'budgets: ["client.latency p(50) < 10s"]', servers=", concurrency: 1", length="20s",
        settings=("Deployment/shop/cart:spec.replicas=1", "run.max_in_flight=60"),
    )
    made = run(given, "clients.web.arrivals.poisson=5rps..45rps", samples=5)
    (spread,) = made.spreads
    assert 0 < spread.saturated < 5 and spread.high is None and spread.low is not None
    assert spread.failed == spread.saturated and spread.answer is Answer.UNDECIDED and made.exit_code == 3
    (bar,) = made.tornado(made.figures[0])
    assert bar.high is None and math.isinf(bar.swing)
    json.loads(text_of(made.plain()))  # no infinity in it


def test_ranges() -> None:
    one = ranged("a", "10ms..30ms")
    assert (one.low, one.middle, one.high, one.unit) == (0.01, 0.02, 0.03, "s")
    assert [one.at(u) for u in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.01, 0.015, 0.02, 0.03])
    assert ranged("a", "1krps..2krps..7krps").at(0.75) == 4500.0
    assert ranged("a", "1..100:log").middle == pytest.approx(10.0)
    assert ranged("a", "1ms..100ms:log").at(0.25) == pytest.approx(0.001 * 10**0.5)
    whole = ranged("a", "2..5")
    values = [whole.at(u) for u in np.linspace(0.0, 1.0, 4001)]
    assert {value: round(values.count(value) / 4001, 2) for value in set(values)} == {2.0: 0.25, 3.0: 0.25, 4.0: 0.25, 5.0: 0.25}
    assert parse_input("clients.web.rtt=1ms..3ms") == Input(name="clients.web.rtt", ranges=(Range(path="clients.web.rtt", low=0.001, middle=0.002, high=0.003, unit="s"),))


@pytest.mark.parametrize("text", ["a", "a=5", "a=3..2", "a=1ms..5rps", "a=0..5:log", "a=1..9..5", "=1..2", "a=2..2"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"range|uncertain input"):
        parse_input(text)


def test_a_range_of_the_file_is_refused_at_its_line(scenario: Callable[..., Given]) -> None:
    given = scenario("uncertain:\n  clients.web.rtt: 1ms..9rps")
    with pytest.raises(InputError, match=r"scenario\.yaml:16.*same kind of unit"):
        inputs_of(prepare(given))
    with pytest.raises(UsageError, match="given twice"):
        inputs_of(prepare(scenario()), ["a=1..2", "a=1..3"])


def test_inputs_of_the_file_and_of_the_profile(scenario: Callable[..., Given]) -> None:
    """What is given replaces the range of the file; costs that this scenario never pays are no inputs."""
    prepared = prepare(scenario("uncertain: {clients.web.rtt: 1ms..9ms}"))
    made = inputs_of(prepared, ["clients.web.rtt=2ms..3ms"])
    assert made[0].ranges[0].high == 0.003
    names = [one.name for one in made[1:]]
    assert {"costs of http1", "costs of worker", "costs of network"} <= set(names)
    assert "costs of http2" not in names  # the client speaks HTTP/1.1, and so does the gateway
    each = [one.name for one in cost_inputs(prepared, each=True, but={"costs.overrides.worker.wakeup_us"})]
    assert "worker.iteration_us" in each and "worker.wakeup_us" not in each
