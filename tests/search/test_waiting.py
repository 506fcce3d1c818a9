"""From an event to its result, held against what theory says of a queue with one server, and against one that is played step by step."""

from __future__ import annotations

import math
import random
from decimal import Decimal, localcontext

import numpy as np
import pytest

from labd.search.waiting import Part, Served, answered, waits

CONSTANT = Part((1.0,) * 60)


def erlang(t: float, load: float) -> float:
    """Share of events that wait at most t service times where service is constant (A. K. Erlang, 1909):
    (1 - load) sum over k = 0 .. floor(t) of exp(-load (k - t)) (load (k - t))^k / k!, whose terms change sign."""
    with localcontext() as context:
        context.prec = 80
        terms = []
        for k in range(math.floor(t) + 1):
            x = Decimal(load) * (Decimal(t) - k)
            terms.append((-x) ** k / math.factorial(k) * x.exp() if k else x.exp())
        return float((1 - Decimal(load)) * sum(terms))


def test_an_event_waits_for_what_is_left_of_those_before_it() -> None:
    draw = random.Random(1)
    busy_s, gaps_s = [draw.random() for _ in range(500)], [draw.expovariate(1.5) for _ in range(500)]
    stepped = [0.0]
    for busy, gap in zip(busy_s[:-1], gaps_s[:-1], strict=True):
        stepped.append(max(0.0, stepped[-1] + busy - gap))
    assert waits(np.array(busy_s), np.array(gaps_s)) == pytest.approx(stepped)


@pytest.mark.parametrize(("load", "share"), [(0.05, 0.99), (0.3, 0.95), (0.7, 0.5), (0.7, 0.95)])
def test_of_a_constant_service_the_quantile_is_erlangs(load: float, share: float) -> None:
    found = answered(Served((CONSTANT,), 1.0), rate_hz=load, share=share, seed=1)
    assert erlang(found.value - 1.0, load) == pytest.approx(share, abs=0.01)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("load", [0.1, 0.6])
def test_the_mean_is_that_of_pollaczek_and_khinchine_whose_service_varies(load: float) -> None:
    values = tuple(random.Random(2).choice([0.25, 1.75]) for _ in range(60))
    part = Part(values)
    square = float(np.mean(np.square(values)))
    rate_hz = load / part.mean_s
    found = answered(Served((part,), part.mean_s), rate_hz=rate_hz, share=None, seed=1)
    assert found.value == pytest.approx(part.mean_s + rate_hz * square / (2 * (1 - load)), rel=0.02)


@pytest.mark.parametrize("rate_hz", [0.05, 0.5])
def test_the_quantile_is_of_what_each_event_took_in_all(rate_hz: float) -> None:
    draw, wait, took = random.Random(3), 0.0, []
    values = tuple(draw.uniform(0.5, 1.5) for _ in range(60))
    for _ in range(200_000):
        took.append(wait + (own := draw.choice(values)))
        wait = max(0.0, wait + own - draw.expovariate(rate_hz))
    part = Part(values)
    found = answered(Served((part,), part.mean_s), rate_hz=rate_hz, share=0.95, seed=1)
    assert found.value == pytest.approx(float(np.quantile(took, 0.95)), rel=0.02)


def test_below_a_load_that_few_wait_for_a_quantile_of_the_sum_is_above_the_sum_of_quantiles() -> None:
    """4 of 100 wait, and 4 of 100 take 5 times as long: of neither part does the p95 show it, of the sum it does."""
    rare = Part((1.0,) * 96 + (5.0,) * 4)
    found = answered(Served((rare,), rare.mean_s), rate_hz=0.04, share=0.95, seed=1)
    assert found.value > 1.05
    assert answered(Served((rare,), rare.mean_s), rate_hz=None, share=0.95, seed=1).value == 1.0


def test_the_scatter_of_a_few_wake_ups_is_in_the_quantile() -> None:
    """Of a normal sum: mean + 1.645 times the standard deviation, where the scatter of four values is as sure as four values are."""
    few = Part((9.0, 10.0, 10.0, 11.0), u_s=0.41)
    found = answered(Served((few, CONSTANT), 0.0), rate_hz=None, share=0.95, seed=1)
    assert found.value == pytest.approx(11.0 + 1.645 * few.scatter_s, rel=0.01)
    assert found.high - found.value > 1.0


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_waiting_moves_with_duty_by_more_than_in_proportion(load: float) -> None:
    """Of the mean: its relative sensitivity to duty is (2 - load) / (1 - load) with the rate known, for load is in the waiting twice."""
    u = 0.01
    found = answered(Served((CONSTANT,), 1.0, u_busy_s=u), rate_hz=load, share=None, seed=1)
    wait = load / (2 * (1 - load))
    known = answered(Served((CONSTANT,), 1.0), rate_hz=load, share=None, seed=1)
    moved = math.sqrt(found.u**2 - known.u**2)
    assert moved == pytest.approx(wait * u * (2 - load) / (1 - load), rel=0.15)


def test_what_all_values_have_in_common_moves_the_answer_by_as_much() -> None:
    found = answered(Served((Part((1.0,) * 60, u_s=0.05),), 1.0), rate_hz=None, share=0.95, seed=1)
    assert found.u == pytest.approx(0.05, rel=0.15)


def test_time_is_in_the_unit_of_the_service_and_the_same_seed_gives_the_same() -> None:
    slow = answered(Served((CONSTANT,), 1.0), rate_hz=0.5, share=0.95, seed=1)
    fast = answered(Served((Part((2e-3,) * 60),), 2e-3), rate_hz=250.0, share=0.95, seed=1)
    assert fast.value == pytest.approx(2e-3 * slow.value)
    assert answered(Served((CONSTANT,), 1.0), rate_hz=0.5, share=0.95, seed=1) == slow
