"""Random numbers without a stream: every draw is a hash of names and numbers.

A draw does not depend on how many draws came before it, so two engines, two orders of execution or two
scenarios that differ elsewhere see the same value. Pure Python here; `gwsim.engine.compiled.draws` holds the
same integer functions for the compiled engine, and compiles the floating-point ones below as they stand
(scalar `math` only: NumPy's vectorised functions differ in the last bit).

Sources: the mixing function is David Stafford's variant 13 of the MurmurHash3 finaliser, as in SplitMix64
(Steele, Lea, Flood 2014); the normal quantile is Wichura's algorithm AS 241 (1988).
"""

from __future__ import annotations

import math

MASK = 0xFFFFFFFFFFFFFFFF


def mix64(z: int) -> int:
    """Mix 64 bits; a bijection."""
    z &= MASK
    z ^= z >> 30
    z = (z * 0xBF58476D1CE4E5B9) & MASK
    z ^= z >> 27
    z = (z * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def fold(h: int, x: int) -> int:
    """Key of the child `x` of `h`."""
    return mix64(h ^ mix64((x + 0x9E3779B97F4A7C15) & MASK))


def name64(name: str) -> int:
    """64 bits of a name (FNV-1a over UTF-8, then mixed), so that positions in files do not matter."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return mix64(h)


def draw64(key: int, purpose: int, i: int = 0) -> int:
    """The i-th draw of `key` for `purpose`: 64 uniform bits."""
    return fold(key, purpose * 256 + i)


def uniform(z: int) -> float:
    """64 bits to a float in (0, 1); neither end occurs."""
    return ((z >> 12) + 0.5) * 2.0**-52


def below(z: int, n: int) -> int:
    """64 bits to an integer in 0..n-1."""
    return z % n


def run_key(seed: int, replication: int) -> int:
    """Key of one replication of a run."""
    return fold(fold(0, seed), replication)


# --- floating point: compiled as it stands by the compiled engine ---------------------------------------------


def normal_quantile(p: float) -> float:
    """Quantile of the standard normal distribution at 0 < p < 1, to about 1e-16 (AS 241, PPND16)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        num = ((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r
                  + 45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427) * r
               + 133.14166789178437745) * r + 3.387132872796366608
        den = ((((((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) * r
                  + 21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083) * r
               + 42.313330701600911252) * r + 1.0
        return q * num / den
    r = p if q < 0.0 else 1.0 - p
    r = math.sqrt(-math.log(r))
    if r <= 5.0:
        r = r - 1.6
        num = ((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r
                  + 1.27045825245236838258) * r + 3.64784832476320460504) * r + 5.7694972214606914055) * r
               + 4.6303378461565452959) * r + 1.42343711074968357734
        den = ((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r
                  + 0.14810397642748007459) * r + 0.68976733498510000455) * r + 1.6763848301838038494) * r
               + 2.05319162663775882187) * r + 1.0
    else:
        r = r - 5.0
        num = ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 0.0012426609473880784386) * r
                  + 0.026532189526576123093) * r + 0.29656057182850489123) * r + 1.7848265399172913358) * r
               + 5.4637849111641143699) * r + 6.6579046435011037772
        den = ((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r
                  + 7.868691311456132591e-4) * r + 0.0148753612908506148525) * r + 0.13692988092273580531) * r
               + 0.59983220655588793769) * r + 1.0
    x = num / den
    return -x if q < 0.0 else x


CONSTANT, UNIFORM, EXPONENTIAL, LOGNORMAL, WEIBULL, PARETO, QUANTILES = range(7)
KINDS = ("constant", "uniform", "exponential", "lognormal", "weibull", "pareto", "quantiles")


def quantile(kind: int, a: float, b: float, u: float) -> float:
    """Inverse CDF at `u` of the distribution `KINDS[kind]` (all but `quantiles`; parameters as in `Distribution`)."""
    if kind == 0:
        return a
    if kind == 1:
        return a + (b - a) * u
    if kind == 2:
        return -a * math.log(1.0 - u)
    if kind == 3:
        return math.exp(a + b * normal_quantile(u))
    if kind == 4:
        return a * math.pow(-math.log(1.0 - u), 1.0 / b)
    return a * math.pow(1.0 - u, -1.0 / b)


def interpolate(p0: float, x0: float, p1: float, x1: float, u: float) -> float:
    """Linear interpolation between two points of a quantile table."""
    return x0 + (x1 - x0) * ((u - p0) / (p1 - p0))


def ns(seconds: float) -> int:
    """Seconds to integer nanoseconds: the one place where a duration becomes a number of the engine's clock."""
    return int(seconds * 1e9 + 0.5)


def ramp_time(area: float, r0: float, r1: float, duration: float) -> float:
    """Time at which the integral of a rate running linearly from r0 to r1 over `duration` reaches `area`."""
    a = (r1 - r0) / duration
    return 2.0 * area / (r0 + math.sqrt(max(0.0, r0 * r0 + 2.0 * a * area)))
