"""Energy per inference over all captures of a point: what they differ by beyond their own scatter is an error of its own."""

import math

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.floors import bracketed
from labd.kpi.pooled import APART, pooled_energies
from labd.kpi.scatter import random_variance
from labd.kpi.terms import Terms
from labd.records import Mode, OperatingPoint, Role

POINT = OperatingPoint(Mode.ALWAYS_ON, 20.0, 3.0, "dnn")
GROSS = "energy_per_inference.gross"


def _capture(number: int, value: float, *, u: float, n: int, kpi: str = GROSS, role: Role = Role.MEAN) -> CaptureResult:
    terms = Terms()
    found = value + terms.random(f"A:{number}", u, dof=n - 1) + terms.limit("gain", 1e-3)
    estimate = Estimate(kpi, POINT.key, found, n)
    return CaptureResult(
        key=f"{POINT.key}/{role}/{number}",
        point=POINT,
        role=role,
        instrument="smu",
        ranges_a=(0.1,),
        records=(),
        estimates={kpi: estimate},
        windows=(),
        per_event={},
        problems=(),
    )


def _pooled(values: list[float], *, u: float = 0.01, n: int = 100) -> Estimate:
    captures = [_capture(k, value, u=u, n=n) for k, value in enumerate(values)]
    ((found, keys),) = pooled_energies(captures, terms=Terms())
    assert len(keys) == len(values)
    return found


def test_captures_that_agree_have_the_scatter_of_their_events_and_the_gain_they_share() -> None:
    found = _pooled([1.0, 1.001, 0.999])
    assert found.nominal == pytest.approx(1.0)
    assert random_variance(found.value) == pytest.approx(0.01**2 / 3)
    assert found.u == pytest.approx(math.hypot(0.01 / math.sqrt(3), 1e-3 / math.sqrt(3)))
    assert APART not in found.flags


def test_captures_that_differ_by_more_are_known_as_well_as_their_number_tells() -> None:
    values = [1.0, 1.1, 0.9, 1.05, 0.95]
    found = _pooled(values)
    assert random_variance(found.value) == pytest.approx(np.var(values, ddof=1) / 5, rel=0.01)
    assert APART in found.flags
    half = Draws(1, "test").half_width(found.value)
    assert half == pytest.approx(2.78 * np.std(values, ddof=1) / math.sqrt(5), rel=0.05)  # Student's t of four degrees of freedom


def test_two_captures_that_chance_may_have_set_apart_are_taken_as_alike() -> None:
    assert random_variance(_pooled([0.99, 1.01]).value) == pytest.approx(0.01**2 / 2)
    assert APART in _pooled([0.9, 1.1]).flags


@pytest.mark.parametrize(("between", "captures"), [(0.0, 3), (0.0, 12), (1.0, 3), (1.0, 12), (3.0, 12)])
def test_intervals_cover_whatever_captures_differ_by(between: float, captures: int) -> None:
    rng, covered, trials = np.random.default_rng(7), 0, 300
    for _ in range(trials):
        values = rng.normal(1.0, 0.01 * math.hypot(1.0, between), captures)
        found = _pooled(values.tolist())
        covered += abs(found.nominal - 1.0) <= Draws(1, "test", size=2000).half_width(found.value)
    assert covered >= 0.9 * trials


def test_floors_count_by_their_lengths() -> None:
    floors = [_capture(k, 1.0, u=0.01 / math.sqrt(n), n=n, kpi="power.floor", role=Role.FLOOR) for k, n in enumerate((16, 4))]
    assert random_variance(bracketed(floors, "always_on", terms=Terms())) == pytest.approx(0.01**2 / 20)
