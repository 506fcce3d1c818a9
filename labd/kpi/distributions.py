"""Quantiles and tails of the few distributions that uncertainty needs, from the standard library's functions only."""

from __future__ import annotations

import math
from statistics import NormalDist

MANY = 1e7  # degrees of freedom: beyond, the logarithms of gamma functions cancel, and at 1e16 nothing is left of a quantile
_NORMAL = NormalDist()


def normal_quantile(p: float) -> float:
    return _NORMAL.inv_cdf(p)


def incomplete_beta(a: float, b: float, *, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b) by its continued fraction (Abramowitz and Stegun 26.5.8, Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, x=1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _away(1 + step * d)
            c = _away(1 + step / c)
            total *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * total


def _away(x: float) -> float:
    return x if abs(x) > 1e-300 else 1e-300


def student_cdf(t: float, dof: float) -> float:
    """Of Student's t with (possibly fractional or infinite) dof > 0; of many by the normal (Abramowitz and Stegun 26.7.8)."""
    if dof > MANY:
        return _NORMAL.cdf(t * (1 - 1 / (4 * dof)) / math.sqrt(1 + t * t / (2 * dof)))
    tail = 0.5 * incomplete_beta(dof / 2, 0.5, x=dof / (dof + t * t))
    return 1 - tail if t > 0 else tail


def student_quantile(p: float, dof: float) -> float:
    """Quantile of Student's t with (possibly fractional) dof > 0, by bisection on the upper half. Infinite dof is the normal, many are
    nearly (Abramowitz and Stegun 26.7.5)."""
    if not 0 < p < 1:
        raise ValueError(f"p is {p}, a probability between 0 and 1 is meant")
    if dof > MANY:
        z = normal_quantile(p)
        return z + (z**3 + z) / (4 * dof)
    if p < 0.5:
        return -student_quantile(1 - p, dof)
    low, high = 0.0, 2.0
    while student_cdf(high, dof) < p:
        high *= 2
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if student_cdf(middle, dof) < p else (low, middle)
    return 0.5 * (low + high)


def chi2_tail(x: float, dof: float) -> float:
    """Probability that chi-squared with `dof` exceeds x (Abramowitz and Stegun 6.5.29 and 6.5.31)."""
    if x <= 0:
        return 1.0
    a, y = dof / 2, x / 2
    front = math.exp(-y + a * math.log(y) - math.lgamma(a))
    if y < a + 1:
        term = total = 1 / a
        for k in range(1, 2000):
            term *= y / (a + k)
            total += term
            if term < total * 1e-16:
                break
        return max(0.0, 1 - front * total)
    b, c = y + 1 - a, 1e300
    d = total = 1 / b
    for k in range(1, 2000):
        step = -k * (k - a)
        b += 2
        d = 1 / _away(step * d + b)
        c = _away(b + step / c)
        total *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * total


def f_tail(f: float, dof1: float, *, dof2: float) -> float:
    """Probability that Fisher's F with dof1 and dof2 degrees of freedom exceeds f (Abramowitz and Stegun 26.6.2)."""
    if f <= 0:
        return 1.0
    return chi2_tail(f * dof1, dof1) if math.isinf(dof2) else incomplete_beta(dof2 / 2, dof1 / 2, x=dof2 / (dof2 + dof1 * f))


def binomial_cdf(k: int, n: int, *, p: float) -> float:
    """Probability of at most k successes in n."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else 1 - incomplete_beta(k + 1, n - k, x=p)


def order_statistic_ranks(n: int, p: float, *, level: float = 0.95) -> tuple[int, int] | None:
    """Ranks (1-based) of the closest order statistics of n values that hold the p-quantile with at least `level`, None where n is too
    small. Distribution-free: P(X_l <= q < X_u) = P(l <= B < u) with B binomial(n, p) (David and Nagaraja, Order Statistics, 7.1)."""
    if 1 - p**n - (1 - p) ** n < level:
        return None
    cdf = [binomial_cdf(k, n, p=p) for k in range(-1, n + 1)]  # cdf[j] is P(B <= j - 1)
    best: tuple[int, int] | None = None
    upper = 1
    for lower in range(1, n):
        upper = max(upper, lower + 1)
        while upper <= n and cdf[upper] - cdf[lower] < level:
            upper += 1
        if upper > n:
            break
        if best is None or upper - lower < best[1] - best[0]:
            best = (lower, upper)
    return best


def smallest_n_for_quantile(p: float, *, level: float = 0.95) -> int:
    """The smallest number of values for which the p-quantile has an order-statistic interval at all."""
    n = 2
    while 1 - p**n - (1 - p) ** n < level:
        n += 1
    return n
