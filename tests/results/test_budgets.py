"""Budgets: the grammar, what is refused and how, and how they are decided."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from synthetic import model, raw_run, replications, resolved

from gwsim.engine.schema import RawRun
from gwsim.errors import ExitCode, InputError, UsageError
from gwsim.results import Results
from gwsim.results.budgets import METRICS, parse, read
from gwsim.results.evaluation import Answer, check
from gwsim.results.intervals import LEVEL
from gwsim.results.labels import BudgetText


def decided(*texts: str, n: int = 20_000, runs: int = 10, **more: object) -> dict[str, Answer]:
    """What becomes of budgets on exponential latencies of mean 10 ms in each of two classes."""
    return {one.budget.text: one.answer for one in checked(*texts, n=n, runs=runs, **more).checked}


def checked(*texts: str, n: int = 20_000, runs: int = 10, **more: object):
    of = model(duration_s=20.0)
    return check(Results.of(resolved(of, budgets=texts), list(made(runs, n, tuple(more.items())))))


@lru_cache(maxsize=8)
def made(runs: int, n: int, more: tuple[tuple[str, object], ...]) -> tuple[RawRun, ...]:
    """Replications, once for all tests that want the same ones."""
    arguments = {key: dict(value) if key == "errors" else value for key, value in more}
    return tuple(replications(model(duration_s=20.0), runs, n, **arguments))


def test_the_grammar() -> None:
    budget = parse('gateway.latency{route="checkout", client="web"} p(99.5) <= 250ms level warn', file="s.yaml", line=7)
    assert budget.metric == "gateway.latency"
    assert budget.labels == (("client", "web"), ("route", "checkout"))
    assert (budget.aggregate, budget.percent, budget.operator) == ("p(99.5)", 99.5, "<=")
    assert budget.limit == 0.25
    assert (budget.level, budget.place) == ("warn", "s.yaml:7")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("client.latency mean < 80ms", 0.08), ("errors rate < 0.1%", 0.001), ("errors rate<0.1%", 0.001),
        ("throughput good > 1900rps", 1900.0), ("throughput good > 1.9k", 1900.0), ("gateway.cpu max < 80%", 0.8),
        ("retries rate < 5% warn", 0.05), ("gateway.cores total < 2500m", 2.5), ("retries rate < 150%", 1.5),
        ('errors{class="checkout"} rate <= 0%', 0.0), ("client.latency p( 99 ) < 1.5s", 1.5),
        ('upstream.latency{cluster="reviews"} p(95) < 50ms', 0.05),
    ],
)
def test_limits_in_the_units_of_their_metrics(text: str, limit: float) -> None:
    assert parse(text).limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latency p(99) < 250ms", r"whose latency\?.*gateway.latency.*client.latency.*gateway.overhead"),
        ("latency", "whose latency"),
        ("gateway.latenc p(99) < 250ms", "unknown metric.*did you mean gateway.latency"),
        ("frobs rate < 1%", "unknown metric.*there are: client.latency"),
        ("errors p(99) < 1%", "errors has no percentiles; its aggregates are: rate"),
        ("client.latency p99 < 1s", r"write p\(99\)"),
        ("client.latency maen < 1s", "has no aggregate 'maen'; did you mean mean"),
        ("client.latency p(100) < 1s", "between 0 and 100"),
        ("client.latency < 1s", r"needs an aggregate: mean, p\(N\)"),
        ('errors{rout="x"} rate < 1%', "no label 'rout'; did you mean route"),
        ('upstream.latency{route="x"} mean < 1s', "no label 'route'.*cluster"),
        ("errors{route=x} rate < 1%", "cannot read the labels"),
        ('errors{route="x",route="y"} rate < 1%', "given twice"),
        ("errors rate == 1%", "does not compare"),
        ("errors rate < 5", "write 5% if percent is meant"),
        ("client.latency mean < 80", "needs a unit: 80ms or 80s"),
        ("client.latency mean < soon", "is not a duration"),
        ("errors rate < 0%", "can never hold"),
        ("p(99) < 1s", "not a budget|unknown metric"),
        ("", "not a budget"),
    ],
)
def test_what_is_no_budget_is_refused_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_all_wrong_budgets_are_told_with_their_places() -> None:
    of = model()
    labels = Results.of(resolved(of), replications(of, 2, 10)).labels
    texts = [
        BudgetText(text="latency p(99) < 1s", file="scenario.yaml", line=40),
        BudgetText(text="errors rate < 1%", file="scenario.yaml", line=41),
        BudgetText(text='errors{route="chekout"} rate < 1%', file="scenario.yaml", line=42),
    ]
    with pytest.raises(InputError) as caught:
        read(texts, labels)
    first, second = caught.value.findings
    assert str(first.span) == "scenario.yaml:40" and "whose latency" in first.message
    assert str(second.span) == "scenario.yaml:42" and second.help == "did you mean checkout?"


def test_every_metric_can_be_measured() -> None:
    limits = {"latency": "10s", "share": "1000%", "rps": "0rps", "cores": "100"}
    texts = [
        f"{name} {aggregate.replace('N', '90')} {'>=' if metric.kind == 'rps' else '<='} {limits[metric.kind]}"
        for name, metric in METRICS.items() for aggregate in metric.aggregates
    ]
    answers = decided(*texts)
    assert set(answers.values()) == {Answer.PASS}
    assert len(answers) == sum(len(metric.aggregates) for metric in METRICS.values())


def test_pass_fail_and_undecided() -> None:
    p99 = 46.05
    answers = decided(
        f"client.latency p(99) < {p99 + 3}ms", f"client.latency p(99) < {p99 - 3}ms", "client.latency p(99) < 46.05ms",
    )
    assert list(answers.values()) == [Answer.PASS, Answer.FAIL, Answer.UNDECIDED]


def test_an_undecided_budget_says_what_would_decide_it() -> None:
    report = checked("client.latency mean < 10ms", n=2000)
    (one,) = report.checked
    assert one.answer is Answer.UNDECIDED and one.observed.trusted
    assert one.more_requests is not None and one.more_requests > 10_000
    assert "more requests would decide it" in one.sentence and "limit < 10 ms" in one.sentence


def test_a_quantile_with_too_few_requests_is_undecided() -> None:
    (one,) = checked("client.latency p(99.9) < 10s", n=2000).checked
    assert one.answer is Answer.UNDECIDED and "too few" in one.sentence
    assert one.more_requests is not None and one.more_requests >= 10 * 200_000 - 40_000


def test_errors_none_seen() -> None:
    answers = decided("errors rate < 0.1%", "errors rate < 0.0001%", "errors rate <= 0%", n=2000)
    assert list(answers.values()) == [Answer.PASS, Answer.UNDECIDED, Answer.PASS]
    (one,) = checked("errors rate < 0.1%", n=2000).checked
    assert "none in 40000 requests" in one.sentence


def test_errors_seen() -> None:
    answers = decided('errors{route="cart"} rate < 0.5%', 'errors{class="checkout-shape"} rate < 0.5%', errors=((0, 200),))
    assert list(answers.values()) == [Answer.FAIL, Answer.PASS]


def test_no_data() -> None:
    of = model(duration_s=20.0)
    texts = ('client.latency{route="checkout"} p(99) < 1s', 'errors{route="checkout"} rate < 1%')
    runs = [raw_run(of, {0: np.full(500, 0.01)}, seed=r) for r in range(3)]
    report = check(Results.of(resolved(of, budgets=texts), runs))
    assert [one.answer for one in report.checked] == [Answer.NO_DATA, Answer.NO_DATA]
    assert report.exit_code is ExitCode.UNDECIDED


def test_a_saturated_run_fails_its_latency_budgets() -> None:
    report = checked("client.latency p(99) < 10s", "errors rate < 1%", growth_rps=100.0, n=5000)
    assert [one.answer for one in report.checked] == [Answer.FAIL, Answer.PASS]
    assert "saturated" in report.checked[0].sentence


def test_one_replication_is_undecided() -> None:
    assert set(decided("client.latency mean < 1s", runs=1).values()) == {Answer.UNDECIDED}


def test_exit_codes() -> None:
    assert checked("errors rate < 1%").exit_code is ExitCode.OK
    assert checked("client.latency mean < 1ms", "client.latency p(99) < 46.05ms").exit_code is ExitCode.ANSWER_IS_NO
    assert checked("client.latency p(99) < 46.05ms").exit_code is ExitCode.UNDECIDED
    warned = checked("client.latency mean < 1ms level warn")
    assert warned.exit_code is ExitCode.OK and len(warned.failed) == 1


def test_a_latency_budget_wants_an_errors_budget_beside_it() -> None:
    assert 'add e.g. errors{route="cart"} rate' in checked('client.latency{route="cart"} mean < 1s').warnings[0]
    assert checked('client.latency{route="cart"} mean < 1s', 'errors{route="cart"} rate < 1%').warnings == ()
    assert len(checked('client.latency{route="cart"} mean < 1s', "errors rate < 1%").warnings) == 1
    assert checked("upstream.latency mean < 1s").warnings == ()


def test_holm_widens_the_intervals_of_several_budgets() -> None:
    texts = ("client.latency mean < 11ms", *(f"client.latency p({q}) < 10s" for q in (50, 60, 70)))
    (one,), many = checked(texts[0]).checked, checked(*texts).checked
    assert one.observed.level == pytest.approx(LEVEL)
    assert sorted(each.observed.level for each in many) == pytest.approx([0.95, 0.975, 1 - 0.05 / 3, 0.9875])
    assert (many[0].observed.half_width or 0) >= (one.observed.half_width or 0)


@pytest.mark.parametrize(
    ("wanted", "answers"),
    [
        ((0.02, 0.03), (Answer.PASS, Answer.PASS)),
        ((0.04, 0.03), (Answer.UNDECIDED, Answer.UNDECIDED)),
        ((0.02, 0.06), (Answer.PASS, Answer.UNDECIDED)),
    ],
)
def test_holms_steps(wanted: tuple[float, float], answers: tuple[Answer, Answer]) -> None:
    """Budgets at limits that leave them with given p-values; 0.025 is held to the clearer, 0.05 to the other."""
    of = model(duration_s=20.0)
    results = Results.of(resolved(of), replications(of, 10, 2000))
    budgets = []
    for route, p in zip(("cart", "checkout"), wanted, strict=True):
        figure = results.route(route).client_latency.mean.at(1 - p)
        budgets.append(parse(f'client.latency{{route="{route}"}} mean < {figure.high!r}s'))
        assert figure.p_value(budgets[-1].limit) == pytest.approx(p)
    report = check(results, budgets)
    assert tuple(one.answer for one in report.checked) == answers
    for one in report.checked:
        assert one.observed.high is not None
        assert (one.observed.high < one.budget.limit) == (one.answer is Answer.PASS)


def test_holm_keeps_wrong_decisions_rare() -> None:
    """Six budgets at their true values: with 5 % each, one run in four would decide one; here 1 in 20 may."""
    of = model(duration_s=20.0, routes=tuple("abcdef"))
    texts = [f'client.latency{{route="{r}"}} mean < 10ms' for r in "abcdef"]
    wrong = 0
    for seed in range(20):
        report = check(Results.of(resolved(of, budgets=tuple(texts)), replications(of, 5, 200, seed=seed + 1)))
        wrong += any(one.answer is not Answer.UNDECIDED for one in report.checked)
    assert wrong <= 4


def test_uncalibrated_costs_are_a_caveat_of_cpu_budgets() -> None:
    of = model(duration_s=20.0)
    raws = replications(of, 5, 1000)
    texts = ("gateway.cpu max < 60%", "gateway.cpu max < 99.9%", "errors rate < 1%")
    report = check(Results.of(resolved(of, budgets=texts, cpu_range=(0.7, 1.5)), raws))
    assert [bool(one.caveat) for one in report.checked] == [True, False, False]
    assert "35 % to 75 %" in report.checked[0].caveat


def test_margins_are_positive_on_the_right_side() -> None:
    below, above = checked("client.latency mean < 20ms", "throughput good > 1rps").checked
    assert below.margin == pytest.approx(0.5, abs=0.01)
    assert above.margin is not None and above.margin > 0


def test_a_share_of_the_baseline() -> None:
    budget = parse("gateway.latency p(99) < 105% of baseline level warn")
    assert (budget.relative, budget.limit, budget.level) == (True, 1.05, "warn")
    assert budget.show(1.1) == "110 % of baseline"
    with pytest.raises(UsageError):
        parse("gateway.latency p(99) < 105% of the base")
