"""Figures as they are printed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labd.records import KpiRecord, Provenance
from labd.report import numbers

finite = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False).filter(lambda v: abs(v) > 1e-12)
widths = st.floats(min_value=1e-9, max_value=1e3)


def record(value: float | None, low: float | None = None, high: float | None = None, unit: str = "J", **more: object) -> KpiRecord:
    known = {"provenance": Provenance.MEASURED, **more}
    u = None if low is None else 0.1
    return KpiRecord("energy", "here", value, unit, u, low, high, 5, known.pop("provenance"), "method", (), (), **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "half", "unit", "text"),
    [
        (656e-6, 13e-6, "J", "656 ± 13 µJ"),
        (4.2e-3, 16.4e-6, "W", "4.200 ± 0.016 mW"),
        (0.0123456, 0.00099, "s", "12.35 ± 0.99 ms"),
        (0.0123456, 0.000999, "s", "12.3 ± 1.0 ms"),  # 0.999 rounds up to two digits: 1.0
        (457.0, 123.0, "W", "460 ± 120 W"),
        (-3e-9, 5e-9, "W", "−3.0 ± 5.0 nW"),
        (0.0, 2e-6, "A", "0.0 ± 2.0 µA"),
        (12.3, 0.4, "/s", "12.30 ± 0.40 /s"),
        (0.98, 0.02, "1", "0.980 ± 0.020"),
        (23.4, 1.0, "Cel", "23.4 ± 1.0 °C"),
        (5e-6, 1e-7, "uJ", "5.00 ± 0.10 pJ"),
        (3.6e7, 3e6, "s", "417 ± 35 d"),
        (3.2e8, 3e7, "s", "10.14 ± 0.95 years"),
        (2.0, 0.0, "V", "2 (exact) V"),
    ],
)
def test_a_value_is_printed_with_two_digits_of_its_u95(value: float, half: float, unit: str, text: str) -> None:
    assert numbers.plus_minus(value, half, unit) == text


def parse(text: str) -> tuple[float, float, str]:
    value, _, rest = text.replace("−", "-").partition(" ± ")
    number, _, unit = rest.partition(" ")
    return float(value), float(number), unit


@given(finite, widths)
def test_what_is_printed_is_what_was_meant_within_the_rounding(value: float, half: float) -> None:
    shown, u, unit = parse(numbers.plus_minus(value, half, "J"))
    factor = numbers.choose_scale("J", max(abs(value), half)).factor
    assert unit == numbers.choose_scale("J", max(abs(value), half)).symbol
    assert u * factor == pytest.approx(half, rel=0.051)
    assert abs(shown * factor - value) <= 0.051 * half * (1 + 1e-6) + 1e-9 * abs(value)


@given(finite, widths)
def test_the_prefix_keeps_the_larger_of_value_and_u_between_1_and_1000(value: float, half: float) -> None:
    size = max(abs(value), half)
    scale = numbers.choose_scale("W", size)
    assert 1 - 1e-9 <= size / scale.factor < 1000 * (1 + 1e-9)


def test_a_lopsided_interval_is_printed_with_both_ends() -> None:
    assert numbers.show(record(4.21, 3.95, 5.1, "/s")) == "4.21 (3.95..5.10) /s"


def test_a_nearly_symmetric_interval_is_printed_with_its_longer_arm() -> None:
    assert numbers.show(record(1.0, 0.9, 1.105)) == "1.00 ± 0.10 J"
    assert numbers.show(record(1.0, 0.902, 1.1, "W")) == "1.00 ± 0.10 W"


def test_a_value_outside_its_own_interval_is_never_printed_with_plus_minus() -> None:
    assert "±" not in numbers.show(record(2.0, 0.9, 1.1))


def test_an_unknown_term_takes_the_interval_away_and_says_so() -> None:
    unknown = record(1.234e-6, flags=("instrument term unknown",))
    assert numbers.show(unknown) == "1.23 µJ (no interval: instrument term unknown)"
    assert numbers.show(record(1.234e-6)) == "1.23 µJ (no interval)"
    assert numbers.show(record(1.0, flags=("one value: no Type A",))) == "1.00 J (no interval: one value: no Type A)"


@pytest.mark.parametrize(("chi2", "text"), [(100.0, "100"), (1.234, "1.23"), (0.05, "0.0500")])
def test_a_test_statistic_is_a_number_that_has_no_interval(chi2: float, text: str) -> None:
    assert numbers.show(replace(record(chi2, unit="1"), id="fit.chi2_per_dof")) == text


def test_a_declared_value_is_called_declared() -> None:
    assert numbers.show(record(12e-6, unit="W", provenance=Provenance.DECLARED)) == "12.0 µW (declared)"


def test_open_intervals_become_bounds() -> None:
    assert numbers.show(record(None, 5.4e8, math.inf, "s")) == "> 17 years"
    assert numbers.show(record(3.0, 2.0, None)) == "> 2.0 J"
    assert numbers.show(record(None, None, 2e-9, "W")) == "< 2.0 nW"


def test_a_withheld_figure_prints_its_flag_and_never_a_number() -> None:
    assert numbers.show(record(None)) == "not resolved"
    assert numbers.show(record(None, flags=("back_feed",))) == "back feed"
    assert numbers.show(record(math.nan)) == "not resolved"
    assert numbers.show(None) == "—"


def test_the_reason_of_a_withheld_figure_holds_flags_and_note() -> None:
    assert numbers.reason(record(None, flags=("not_resolved",), note="shorter than 10 records")) == "not resolved; shorter than 10 records"


def test_rates_are_per_second_and_clocks_stay_in_hertz() -> None:
    assert numbers.show(record(0.5, 0.45, 0.55, "Hz")) == "0.500 ± 0.050 /s"
    assert numbers.show(record(64e6, 63.9e6, 64.1e6, "Hz")) == "64.00 ± 0.10 MHz"


@pytest.mark.parametrize(
    ("code", "text"), [("uJ", "µJ"), ("Cel", "°C"), ("1", ""), ("J.s", "J·s"), ("mm2", "mm²"), ("kOhm", "kΩ"), ("bit", "bit")]
)
def test_ucum_codes_have_a_printed_form(code: str, text: str) -> None:
    assert numbers.print_unit(code) == text


@given(st.floats(), st.floats() | st.none(), st.floats() | st.none(), st.sampled_from(["J", "1", "/s", "s", "Hz", "Cel", "uJ", "weird"]))
@example(1.797693134860518e308, 0.0, 0.0, "J")
@example(0.0, 0.0, 1.7950000000000001e308, "1")
def test_no_record_whatever_breaks_the_printing(value: float, low: float | None, high: float | None, unit: str) -> None:
    text = numbers.show(record(value, low, high, unit))
    assert text
    assert "nan" not in text
