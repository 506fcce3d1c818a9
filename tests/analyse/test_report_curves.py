"""How comparisons of modes end, how curves are named, and how configurations read as text."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from labd.analyse.curves import Figures, break_evens, curves, keys, pair
from labd.analyse.wording import flat, fraction, quantity_text, said
from labd.kpi.estimate import withheld
from labd.kpi.inputs import Detector
from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from labd.report.data import Outcome

POINTS = [OperatingPoint(mode, rate, 3.0, "dnn") for mode in (Mode.ALWAYS_ON, Mode.EVENT_SLEEP) for rate in (0.0, 5.0)]
AT = "always_on|event_sleep"


def _kpi(kpi: str, at: str, value: float | None, unit: str = "W") -> KpiRecord:
    low, high, u = (None, None, None) if value is None else (value * 0.9, value * 1.1, value * 0.05)
    return KpiRecord(kpi, at, value, unit, u, low, high, 5, Provenance.COMPUTED, "m", ("c",))


def _floors(always_on: float, event_sleep: float) -> list[KpiRecord]:
    found = [_kpi("fit.floor_power", "always_on", always_on), _kpi("fit.floor_power", "event_sleep", event_sleep)]
    return found + [_kpi("fit.incremental_energy", at, 1e-3, "J") for at in ("always_on", "event_sleep")]


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("event-based wins at every reachable rate", Outcome.FIRST_ALWAYS),
        ("event-based never wins", Outcome.SECOND_ALWAYS),
        ("not resolved", Outcome.NOT_RESOLVED),
    ],
)
def test_a_comparison_without_a_rate_says_how_it_ended(reason: str, outcome: Outcome) -> None:
    figures = Figures.of([withheld("break_even_rate", AT, reason=reason, captures=("c",), flags=("not linear",))])
    found = break_evens(POINTS, figures, Detector())
    assert [(b.first, b.second, b.outcome) for b in found] == [("event_sleep", "always_on", outcome)]


def test_of_two_that_cross_the_one_that_needs_less_at_rest_is_first() -> None:
    crossing = replace(_kpi("break_even_rate", AT, 12.0, "Hz"), flags=("extrapolated",))
    usual = break_evens(POINTS, Figures.of([crossing, *_floors(1e-3, 1e-6)]), Detector())[0]
    assert (usual.first, usual.outcome, usual.extrapolated) == ("event_sleep", Outcome.CROSSES, True)
    odd = break_evens(POINTS, Figures.of([crossing, *_floors(1e-6, 1e-3)]), Detector())[0]
    assert odd.first == "always_on"


def test_a_hungry_detector_can_turn_the_order_of_two_that_cross() -> None:
    figures = Figures.of([_kpi("break_even_rate", AT, 12.0, "Hz"), *_floors(1e-3, 1e-6)])
    assert break_evens(POINTS, figures, Detector("declared", 2e-3))[0].first == "always_on"
    assert break_evens(POINTS, figures, Detector("declared", 0.0, 0.0, 5.0))[0].first == "always_on"  # 5 false wakes/s of 1 mJ


def test_curves_carry_the_model_in_their_name_where_it_varies() -> None:
    both = POINTS + [replace(p, model="snn") for p in POINTS]
    assert set(keys(POINTS).values()) == {"always_on", "event_sleep"}
    assert set(keys(both).values()) == {f"{mode}/v=3/{model}" for mode in ("always_on", "event_sleep") for model in ("dnn", "snn")}
    assert pair("always_on|event_sleep/v=3/snn") == ("always_on/v=3/snn", "event_sleep/v=3/snn")
    figures = Figures.of(
        [_kpi("fit.floor_power", "event_sleep/v=3/snn", 1e-6), _kpi("fit.incremental_energy", "event_sleep/v=3/snn", 1e-3, "J")]
    )
    fitted = [c.key for c in curves(both, figures, ()) if c.fit is not None]
    assert fitted == ["event_sleep/v=3/snn"]


def test_a_comparison_of_modes_that_the_run_does_not_hold_is_left_out() -> None:
    assert break_evens(POINTS[:2], Figures.of([_kpi("break_even_rate", AT, 12.0, "Hz")]), Detector()) == []


def test_rest_power_is_that_of_the_floor_capture_whatever_was_captured_first() -> None:
    """The range of an event capture holds the peak and resolves the rest badly."""
    coarse = replace(_kpi("power.sleep", "p", 3e-5), captures=("p/event/0",))
    fine, again = (replace(_kpi("power.sleep", "p", 9e-6), captures=(f"p/floor/{k}",)) for k in range(2))
    narrow = replace(again, low=8.9e-6, high=9.1e-6)  # of floors nobody picks the one that looks best
    for order in permutations((coarse, fine, narrow)):
        found = Figures.of(order)
        assert found.get("power.sleep", "p") == fine
        assert [one.captures for one in found.more["power.sleep", "p"]] == [("p/floor/1",), ("p/event/0",)]
    lost = replace(_kpi("power.sleep", "p", None), captures=("p/floor/0",))
    assert Figures.of([lost, coarse]).get("power.sleep", "p") == coarse


def test_rest_power_without_a_floor_is_that_with_the_narrowest_interval() -> None:
    wide, none, narrow, late = (
        replace(_kpi("power.idle", "p", 1e-3), captures=(f"p/event/{k}",), low=low, high=high)
        for k, low, high in ((0, 5e-4, 2e-3), (1, None, None), (9, 9e-4, 1.1e-3), (10, 9e-4, 1.1e-3))
    )
    for order in permutations((wide, none, narrow, late)):
        assert Figures.of(order).get("power.idle", "p") == narrow


def test_of_repeats_the_one_with_a_value_is_found_and_the_others_move_to_their_captures() -> None:
    gone = replace(_kpi("power.floor", "p", None), captures=("p/floor/0",))
    good = replace(_kpi("power.floor", "p", 1e-6), captures=("p/floor/1",))
    figures = Figures.of([gone, good])
    assert figures.get("power.floor", "p") is good
    assert [r.at for r in figures.every()] == ["p", "p/floor/0"]


def test_repeats_that_rest_on_several_captures_are_numbered() -> None:
    twice = [replace(_kpi("x", "p", 1.0), captures=("a", "b"))] * 3
    several = Figures.of([replace(r, n=k) for k, r in enumerate(twice)])
    assert [r.at for r in several.every()] == ["p", "p#2", "p#3"]


@pytest.mark.parametrize(
    ("value", "unit", "half_width", "text"),
    [
        (23.0, "Cel", 1.0, "23 °C ± 1 K"),
        (4.7e-6, "F", 4.7e-7, "4.7 ± 0.47 µF"),
        (0.85, "1", 0.05, "85 % ± 5 %"),
        (50e-6, "1", 0.0, "50 ppm"),
        (3600.0, "s", 0.0, "60 min"),
        (7200.0, "s", 0.0, "2 h"),
        (0.0, "A", 1e-9, "0 ± 1 nA"),
        (0.5, "/s", 0.0, "0.5 /s"),
        (0.01 / (365.25 * 86400), "/s", 0.0, "1 %/year"),
        (0.0, "s", 0.0, "0 s"),
    ],
)
def test_quantities_read_as_people_write_them(value: float, unit: str, half_width: float, text: str) -> None:
    assert quantity_text(value, unit, half_width=half_width) == text


def test_configurations_of_any_shape_become_text() -> None:
    assert said(None) == ""
    assert said(True) == "yes"
    assert said([{"value": 1.0, "unit": "V"}, {"value": 2.0, "unit": "V"}]) == "1 V, 2 V"
    assert said({"sleep_state": "deep", "x": None}) == "sleep state deep"
    assert fraction(0.0) == "0 %"
    nested = {"captures": {"floor_time": {"value": 4.0, "unit": "s"}, "none": None}, "schema": 1, "seed": 2}
    assert list(flat(nested, leave_out=frozenset({"schema"}))) == [("captures: floor time", "4 s"), ("seed", "2")]
