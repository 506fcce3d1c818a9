"""Targets are answered by the chance that the true value meets them, and that chance is what repeated measurements show."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from labd.kpi.share import Z95, wilson
from labd.kpi.targets import Answer, Target, conformity, effective_dof, meets
from labd.records import BudgetLine, KpiRecord, Provenance

MOST = Target("max energy", 1.0, "J")
LEAST = Target("min accuracy", 0.9, "1", least=True)


def record(value: float | None, u: float = 0.1, *, dof: float | None = None, method: str = "GUM Supplement 1", n: int = 30) -> KpiRecord:
    """With the interval of Student's t, as a budget of one Type A term gives it."""
    lines = (BudgetLine("A:x", u, "A", "t", dof),)
    half = u * float(stats.t.ppf(0.975, dof)) if dof else u * Z95
    low, high = (None, None) if value is None else (value - half, value + half)
    return KpiRecord("energy_per_inference.gross", "x", value, "J", u, low, high, n, Provenance.MEASURED, method, budget=lines)


@pytest.mark.parametrize("dof", [None, 4.0, 30.0])
@pytest.mark.parametrize("value", [0.7, 0.9, 1.0, 1.1])
def test_the_chance_is_that_of_students_t_about_the_value(value: float, dof: float | None) -> None:
    expected = stats.t.cdf((1.0 - value) / 0.1, dof) if dof else stats.norm.cdf((1.0 - value) / 0.1)
    assert conformity(record(value, dof=dof), MOST).chance == pytest.approx(expected, abs=1e-6)


@given(st.floats(1.0, 1e3), st.floats(1e-3, 10.0), st.booleans())
def test_a_limit_at_the_end_of_the_interval_is_met_with_97_and_a_half_percent(dof: float, half: float, least: bool) -> None:
    limit = 5.0 - half if least else 5.0 + half
    assert meets(5.0, half, dof, Target("x", limit, "J", least=least)) == pytest.approx(0.975, abs=1e-6)


def test_a_target_is_met_missed_or_open_by_95_percent() -> None:
    at = {answer: 1.0 - 0.1 * z for answer, z in ((Answer.MET, 1.65), (Answer.OPEN, 1.64), (Answer.MISSED, -1.65))}
    assert {answer: conformity(record(value), MOST).answer for answer, value in at.items()} == {answer: answer for answer in at}
    assert conformity(record(1.0 + 0.1 * 1.64), MOST).answer is Answer.OPEN


def test_a_claim_at_95_percent_is_wrong_in_one_of_twenty_cases_at_most() -> None:
    """Boards whose true energy is at the limit, measured with u = 0.1 estimated from 5 values: `met` is said of 5 % of them."""
    rng = np.random.default_rng(3)
    said = 0
    for sample in rng.normal(1.0, 0.1, size=(1200, 5)):
        u = float(sample.std(ddof=1)) / math.sqrt(5)
        said += conformity(record(float(sample.mean()), u, dof=4.0), MOST).answer is Answer.MET
    assert said / 1200 == pytest.approx(0.05, abs=0.02)


@given(st.integers(1, 500), st.data())
def test_a_share_is_judged_as_its_wilson_interval_is(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = wilson(hits, n)
    share = KpiRecord("task.accuracy", "net", hits / n, "1", 0.0, low, high, n, Provenance.MEASURED, "scikit-learn; Wilson")
    found = conformity(share, LEAST).chance
    assert found is not None
    assert (found >= 0.975 - 1e-6) == (low >= 0.9 - 1e-7) or abs(low - 0.9) < 1e-6
    assert (found <= 0.025 + 1e-6) == (high <= 0.9 + 1e-7) or abs(high - 0.9) < 1e-6


def test_what_has_no_interval_gives_no_confidence_and_says_why() -> None:
    bare = replace(record(0.5), u=None, low=None, high=None)
    unknown = conformity(replace(bare, flags=("instrument term unknown",)), MOST)
    assert (unknown.answer, unknown.chance, unknown.why) == (Answer.UNKNOWN, None, "no interval: instrument term unknown")
    declared = conformity(replace(bare, provenance=Provenance.DECLARED), MOST)
    assert (declared.answer, declared.why) == (Answer.UNKNOWN, "no interval: declared, and would meet it at its word")
    assert conformity(None, MOST).why == "no such figure in this run"
    gone = conformity(replace(record(None), flags=("not_resolved",)), MOST)
    assert (gone.answer, gone.why) == (Answer.UNKNOWN, "no value: not resolved")


def test_a_bound_settles_a_target_that_lies_beyond_it_and_no_other() -> None:
    below = replace(record(None), high=0.8)
    assert conformity(below, MOST).answer is Answer.MET
    assert conformity(replace(below, high=1.2), MOST).answer is Answer.UNKNOWN
    assert conformity(replace(below, high=None, low=1.2), MOST).answer is Answer.MISSED
    assert conformity(replace(below, high=0.8), LEAST).answer is Answer.MISSED


def test_an_interval_without_a_budget_is_used_arm_by_arm() -> None:
    lopsided = KpiRecord("latency.pin.p95", "x", 0.9, "s", 0.1, 0.7, 1.0, 60, Provenance.MEASURED, "order statistics")
    assert conformity(lopsided, MOST).chance == pytest.approx(0.975, abs=1e-4)


def test_a_count_is_certain_and_an_interval_of_no_width_of_anything_else_is_none() -> None:
    perfect = KpiRecord("task.auc", "net", 1.0, "1", 0.0, 1.0, 1.0, 8, Provenance.MEASURED, "scikit-learn; DeLong")
    told = conformity(perfect, LEAST)
    assert (told.answer, told.chance, told.why) == (Answer.UNKNOWN, None, "no interval")
    size = replace(perfect, id="model.memory", value=7216.0, unit="By", low=7216.0, high=7216.0, n=1)
    for limit, chance in ((7216.0, 1.0), (7215.0, 0.0)):
        assert conformity(size, Target("max memory", limit, "By")).chance == chance


def test_degrees_of_freedom_are_those_of_welch_and_satterthwaite() -> None:
    lines = (BudgetLine("A:a", 3.0, "A", "t", 9.0), BudgetLine("A:b", 4.0, "A", "t", 16.0), BudgetLine("gain", 2.0, "B", "rectangular"))
    assert effective_dof(lines) == pytest.approx((9 + 16 + 4) ** 2 / (81 / 9 + 256 / 16))
    assert math.isinf(effective_dof(lines[2:]))
    twice = (*lines[2:], BudgetLine("A:a", 1.0, "A", "t", 9.0), BudgetLine("A:a", -1.0, "A", "t", 9.0))
    assert math.isinf(effective_dof(twice))
