"""Distributions as the file writes them, and as the engines draw them.

`12ms` is a constant; `{exponential: 5ms}` has that mean; `{lognormal: {median: 12ms, p99: 80ms}}` and its
other pairs, `{uniform: [1ms, 3ms]}`, `{weibull: {mean: 5ms, shape: 0.7}}`, `{pareto: {min: 1ms, index: 2.5}}` and
`{quantiles: {p0: 1ms, p50: 5ms, p100: 90ms}}`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from gwsim.scenario import model
from gwsim.scenario.file.base import Choice, Duration, FileModel, PositiveNumber, Size, one_of

Q = TypeVar("Q")

NORMAL_QUANTILES = {
    "median": 0.0,
    "p90": 1.2815515655446004,
    "p95": 1.6448536269514722,
    "p99": 2.3263478740408408,
    "p999": 3.090232306167813,
}
"""Quantiles of the standard normal distribution under the names of the file."""

KINDS = ("constant", "exponential", "lognormal", "uniform", "weibull", "pareto", "quantiles")


class Lognormal(FileModel, Generic[Q]):
    """Two of the parameters: a median or quantile with another quantile, sigma or cv; or a mean with sigma or cv."""

    median: Q | None = Field(default=None, description="half of the draws are below it")
    mean: Q | None = Field(default=None, description="arithmetic mean")
    p90: Q | None = Field(default=None, description="90th percentile")
    p95: Q | None = Field(default=None, description="95th percentile")
    p99: Q | None = Field(default=None, description="99th percentile")
    p999: Q | None = Field(default=None, description="99.9th percentile")
    sigma: PositiveNumber | None = Field(default=None, description="standard deviation of the natural logarithm")
    cv: PositiveNumber | None = Field(default=None, description="coefficient of variation: standard deviation / mean")

    @model_validator(mode="after")
    def _check(self) -> Lognormal[Q]:
        self.parameters()
        return self

    def parameters(self) -> tuple[float, float]:
        """mu and sigma of the logarithm. Raises ValueError when the parameters do not determine them."""
        given = {name: float(value) for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        quantiles = [(NORMAL_QUANTILES[name], name, given[name]) for name in NORMAL_QUANTILES if name in given]
        if len(given) != 2 or not (quantiles or "mean" in given) or ("mean" in given and quantiles):
            raise ValueError("give two parameters that determine it, e.g. median and p99, median and cv, or mean and cv")
        if any(given[name] <= 0 for name in given):
            raise ValueError("every parameter of a lognormal must be above 0")
        if len(quantiles) == 2:
            return _from_quantiles(quantiles)
        sigma = given["sigma"] if "sigma" in given else math.sqrt(math.log1p(given["cv"] ** 2))
        if "mean" in given:
            return math.log(given["mean"]) - sigma * sigma / 2.0, sigma
        z, _, value = quantiles[0]
        return math.log(value) - z * sigma, sigma


def _from_quantiles(quantiles: list[tuple[float, str, float]]) -> tuple[float, float]:
    (z0, low, x0), (z1, high, x1) = sorted(quantiles)
    if x1 < x0:
        raise ValueError(f"{high} is below {low}")
    sigma = (math.log(x1) - math.log(x0)) / (z1 - z0)
    return math.log(x0) - z0 * sigma, sigma


class Weibull(FileModel, Generic[Q]):
    """`shape` below 1 has a heavy tail; `scale` or `mean` says how large."""

    shape: PositiveNumber = Field(description="shape parameter k")
    scale: Q | None = Field(default=None, description="scale parameter: the 63rd percentile")
    mean: Q | None = Field(default=None, description="arithmetic mean, instead of scale")

    @model_validator(mode="after")
    def _check(self) -> Weibull[Q]:
        if (self.scale is None) == (self.mean is None):
            raise ValueError("give scale or mean")
        if self.shape < 0.1:
            raise ValueError("shape must be at least 0.1")
        return self


class Pareto(FileModel, Generic[Q]):
    """P(X > x) = (min / x)^index. The index must be above 1, or the mean is infinite."""

    index: Annotated[float, Field(gt=1, allow_inf_nan=False)] = Field(description="tail index, above 1")
    min: Q | None = Field(default=None, description="smallest value")
    mean: Q | None = Field(default=None, description="arithmetic mean, instead of min")

    @model_validator(mode="after")
    def _check(self) -> Pareto[Q]:
        if (self.min is None) == (self.mean is None):
            raise ValueError("give min or mean")
        return self


class LognormalTime(Lognormal[Duration]):
    """A lognormal duration: two of the parameters that determine it (median and p99, median and cv, mean and cv, ...)."""


class LognormalSize(Lognormal[Size]):
    """A lognormal size: two of the parameters that determine it (median and p99, median and cv, mean and cv, ...)."""


class WeibullTime(Weibull[Duration]):
    """A Weibull duration; a shape below 1 has a heavy tail."""


class WeibullSize(Weibull[Size]):
    """A Weibull size; a shape below 1 has a heavy tail."""


class ParetoTime(Pareto[Duration]):
    """A Pareto duration: P(X > x) = (min / x)^index."""


class ParetoSize(Pareto[Size]):
    """A Pareto size: P(X > x) = (min / x)^index."""


def percentile(name: str) -> float:
    """`p99.9` as 0.999. Raises ValueError for other text."""
    try:
        percent = float(name[1:]) if name[:1] == "p" and name[1:2].isdigit() else math.nan
    except ValueError:
        percent = math.nan
    if not 0.0 <= percent <= 100.0:
        raise ValueError(f"{name!r} is not a percentile; write p0 to p100, e.g. p99.9")
    return percent / 100.0


class _Distribution(Choice):
    """What distributions of durations and of sizes have in common."""

    constant: Any = None
    exponential: Any = None
    lognormal: Any = None
    uniform: Any = None
    weibull: Any = None
    pareto: Any = None
    quantiles: Any = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return {"constant": value}
        return one_of(value, KINDS, "the distribution")

    @model_validator(mode="after")
    def _determined(self) -> _Distribution:
        self.resolved()
        return self

    def resolved(self) -> model.Distribution:
        """The distribution as engines draw it, with its exact mean (seconds or bytes)."""
        made = self._made()
        if not all(math.isfinite(x) for x in (made.a, made.b, made.mean)):
            raise ValueError("the mean is not finite")
        return made

    def _made(self) -> model.Distribution:
        if self.lognormal is not None:
            mu, sigma = self.lognormal.parameters()
            exponent = mu + sigma * sigma / 2.0
            mean = math.exp(exponent) if exponent < 700.0 else math.inf
            return model.Distribution(kind="lognormal", a=mu, b=sigma, mean=mean)
        if self.exponential is not None:
            return model.Distribution(kind="exponential", a=self.exponential, mean=self.exponential)
        if self.uniform is not None:
            low, high = self.uniform
            if high < low:
                raise ValueError("the second bound of uniform is below the first")
            return model.Distribution(kind="uniform", a=low, b=high, mean=(low + high) / 2.0)
        if self.weibull is not None:
            unit_mean = math.gamma(1.0 + 1.0 / self.weibull.shape)
            scale = self.weibull.scale if self.weibull.scale is not None else self.weibull.mean / unit_mean
            return model.Distribution(kind="weibull", a=scale, b=self.weibull.shape, mean=scale * unit_mean)
        if self.pareto is not None:
            index, ratio = self.pareto.index, self.pareto.index / (self.pareto.index - 1.0)
            low = self.pareto.min if self.pareto.min is not None else self.pareto.mean / ratio
            return model.Distribution(kind="pareto", a=low, b=index, mean=low * ratio)
        if self.quantiles is not None:
            return _table(self.quantiles)
        return model.constant(self.constant)


def _table(quantiles: dict[str, float]) -> model.Distribution:
    points = sorted((percentile(name), value) for name, value in quantiles.items())
    if len({p for p, _ in points}) != len(points):
        raise ValueError("a percentile is given twice")
    if not points or points[0][0] != 0.0 or points[-1][0] != 1.0:
        raise ValueError("quantiles need p0 (the smallest value) and p100 (the largest)")
    steps = list(pairwise(points))
    if any(high < low for (_, low), (_, high) in steps):
        raise ValueError("quantiles must not fall from one percentile to the next")
    mean = math.fsum((p1 - p0) * (x0 + x1) / 2.0 for (p0, x0), (p1, x1) in steps)
    return model.Distribution(kind="quantiles", points=tuple(points), mean=mean)


def _with_short_form(core: CoreSchema, handler: GetJsonSchemaHandler, example: str) -> dict[str, Any]:
    """The JSON Schema of a distribution: a plain value, or a mapping with one kind."""
    full = handler(core)
    resolved = handler.resolve_ref_schema(full)
    inner = {key: value for key, value in resolved.items() if key not in ("title", "description")}
    inner["minProperties"] = inner["maxProperties"] = 1
    short = {"type": ["string", "number"], "description": f"always this value, e.g. {example}"}
    description = resolved.get("description", "")
    title = resolved.get("title", "")
    resolved.clear()
    resolved.update({"title": title, "description": description, "anyOf": [short, inner]})
    return full


class Times(_Distribution):
    """A random duration: a plain duration is constant, a mapping names the kind of distribution."""

    constant: Duration | None = Field(default=None, description="always this")
    exponential: Duration | None = Field(default=None, description="the mean")
    lognormal: LognormalTime | None = Field(default=None, description="two of median, mean, p90, p95, p99, p999, sigma, cv")
    uniform: tuple[Duration, Duration] | None = Field(default=None, description="[lowest, highest]")
    weibull: WeibullTime | None = Field(default=None, description="shape, and scale or mean")
    pareto: ParetoTime | None = Field(default=None, description="index, and min or mean")
    quantiles: dict[str, Duration] | None = Field(default=None, description="p0 to p100, linear in between")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return _with_short_form(core, handler, "12ms")


class Sizes(_Distribution):
    """A random size: a plain size is constant, a mapping names the kind of distribution."""

    constant: Size | None = Field(default=None, description="always this")
    exponential: Size | None = Field(default=None, description="the mean")
    lognormal: LognormalSize | None = Field(default=None, description="two of median, mean, p90, p95, p99, p999, sigma, cv")
    uniform: tuple[Size, Size] | None = Field(default=None, description="[smallest, largest]")
    weibull: WeibullSize | None = Field(default=None, description="shape, and scale or mean")
    pareto: ParetoSize | None = Field(default=None, description="index, and min or mean")
    quantiles: dict[str, Size] | None = Field(default=None, description="p0 to p100, linear in between")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return _with_short_form(core, handler, "1KiB")


__all__ = ["KINDS", "NORMAL_QUANTILES", "Lognormal", "Pareto", "Sizes", "Times", "Weibull", "percentile"]
