"""How long an event waits for those before it, where events come by chance: one server, constant time, Poisson arrivals (M/D/1). Pure."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

LARGEST_LOAD = 0.95  # beyond, no use case has any sense
DIGITS = 80  # of the sum's terms: at the largest load, and so far out that nothing waits longer, some thirty are lost


def waiting_quantile(share: float, *, service: float, load: float) -> float:
    """The time (in the unit of `service`) that this share of events waits at most. load: rate times service time, at most LARGEST_LOAD.

    By Erlang's distribution (F. W. Steutel, K. van Harn, Infinite Divisibility, 2004, the M/D/1 queue; A. K. Erlang 1909):
    P(W <= t) = (1 - load) sum over k = 0 .. floor(t) of exp(-load (k - t)) (load (k - t))^k / k!, t in service times.
    """
    if waits_at_most(0.0, load) >= share:
        return 0.0
    low, high = 0.0, 1.0
    while waits_at_most(high, load) < share:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if waits_at_most(middle, load) < share else (low, middle)
    return high * service


def waiting_mean(*, service: float, load: float) -> float:
    """Pollaczek and Khinchine for a constant service time."""
    return load * service / (2 * (1 - load))


def waits_at_most(t: float, load: float) -> float:
    """Share of events that wait at most t service times. The terms of the sum change sign, and are many times what is left of them."""
    with localcontext() as context:
        context.prec = DIGITS
        total, factorial, at, of = Decimal(0), Decimal(1), Decimal(t), Decimal(load)
        for k in range(math.floor(t) + 1):
            factorial *= k or 1
            x = of * (at - k)
            total += (-x) ** k / factorial * x.exp() if k else x.exp()
        return float((1 - of) * total)
