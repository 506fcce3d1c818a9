"""Quantities as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.config import quantity as q
from labd.config.quantity import Kind, QuantityError, Uncertain, read_quantity, write_quantity, write_uncertain

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "kind", "si"),
    [
        ("3.3 V", q.VOLTAGE, 3.3),
        ("3.3V", q.VOLTAGE, 3.3),
        ("50 uA", q.CURRENT, 50e-6),
        ("50 µA", q.CURRENT, 50e-6),
        ("50 μA", q.CURRENT, 50e-6),
        ("-1e-3 A", q.CURRENT, -1e-3),
        ("10 ms", q.TIME, 0.01),
        ("60 min", q.TIME, 3600.0),
        ("4 h", q.TIME, 14400.0),
        ("1 year", q.TIME, 365.25 * 86400),
        ("0.5 /s", q.RATE, 0.5),
        ("6 /min", q.RATE, 0.1),
        ("6 1/min", q.RATE, 0.1),
        ("5 Hz", q.RATE, 5.0),
        ("64 MHz", q.FREQUENCY, 64e6),
        ("25 %", q.FRACTION, 0.25),
        ("50 ppm", q.FRACTION, 50e-6),
        ("23 degC", q.TEMPERATURE, 23.0),
        ("23 °C", q.TEMPERATURE, 23.0),
        ("30 mohm", q.RESISTANCE, 0.03),
        ("30 mΩ", q.RESISTANCE, 0.03),
        ("225 mAh", q.CHARGE, 810.0),
        ("1 %/year", q.CHANGE_OVER_TIME, 0.01 / (365.25 * 86400)),
        ("0.01 %/K", q.TEMPERATURE_COEFFICIENT, 1e-4),
        ("4.7 uF", q.CAPACITANCE, 4.7e-6),
    ],
)
def test_a_quantity_is_read_as_the_nearest_si_float(text: str, kind: Kind, si: float) -> None:
    found = read_quantity(text, kind)
    assert found.half_width == 0
    assert found.value == pytest.approx(si, rel=1e-15)


def test_a_prefix_does_not_cost_the_last_digit() -> None:
    assert read_quantity("50 uA", q.CURRENT).value == 5e-05
    assert 50 * 1e-6 != 5e-05


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("30 mohm +- 5 mohm", q.RESISTANCE, Uncertain(0.03, 0.005)),
        ("30 mohm ± 5 mohm", q.RESISTANCE, Uncertain(0.03, 0.005)),
        ("30 mohm +/- 5000 uohm", q.RESISTANCE, Uncertain(0.03, 0.005)),
        ("4 uF +- 25 %", q.CAPACITANCE, Uncertain(4e-6, 1e-6)),
        ("85 % +- 5 %", q.FRACTION, Uncertain(0.85, 0.05)),
        ("23 degC +- 1 K", q.TEMPERATURE, Uncertain(23.0, 1.0)),
        ("0 nA +- 1 nA", q.CURRENT, Uncertain(0.0, 1e-9)),
    ],
)
def test_a_half_width_is_read_with_its_own_unit(text: str, kind: Kind, expected: Uncertain) -> None:
    assert read_quantity(text, kind) == expected


def test_the_standard_uncertainty_of_limits_is_the_rectangular_one() -> None:
    assert Uncertain(1.0, 0.3).u == pytest.approx(0.3 / math.sqrt(3))


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("3 V", q.CURRENT, 'expected a current such as "50 uA", got a voltage "3 V"'),
        (50, q.CURRENT, 'expected a current such as "50 uA", got the bare number 50: write it in quotes, with its unit'),
        (0.5, q.TIME, "got the bare number 0.5"),
        ("50", q.CURRENT, 'got "50" without a unit'),
        ("50 ua", q.CURRENT, 'no unit "ua"; did you mean "uA"?'),
        ("3 parsec", q.TIME, 'no unit "parsec"'),
        ("60 rpm", q.RATE, 'no unit "rpm"'),
        ("1 %/year", q.RATE, "got a fraction per time"),
        ("3", q.VOLTAGE, "without a unit"),
        ("", q.VOLTAGE, 'got ""'),
        ("fast", q.RATE, 'got "fast"'),
        ("nan V", q.VOLTAGE, 'got "nan V"'),
        ("1e999 V", q.VOLTAGE, "beyond the range of numbers"),
        ("1e-999 V", q.VOLTAGE, "beyond the range of numbers"),
        ("1e308 V +- 500 %", q.VOLTAGE, "beyond the range of numbers"),
        ("1 V +- 3 mA", q.VOLTAGE, "got a current"),
        ("1 V +- -3 mV", q.VOLTAGE, "positive half width"),
        ("23 C", q.TEMPERATURE, 'got a charge "23 C"; did you mean "degC"?'),
        ("23 degC +- 1 degC", q.TEMPERATURE, "expected a temperature difference"),
        (True, q.VOLTAGE, "got true"),
        (["3 V"], q.VOLTAGE, "got a list"),
        ({}, q.VOLTAGE, "got a table"),
    ],
)
def test_a_wrong_quantity_says_what_would_be_right(text: object, kind: Kind, message: str) -> None:
    with pytest.raises(QuantityError) as caught:
        read_quantity(text, kind)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(value=FLOATS, kind=st.sampled_from(q.KINDS))
def test_what_is_printed_reads_as_the_same_float(value: float, kind: Kind) -> None:
    assert read_quantity(write_quantity(value, kind), kind) == Uncertain(value)


@given(value=FLOATS, half_width=st.floats(min_value=0, max_value=1e300), kind=st.sampled_from(q.KINDS))
def test_what_is_printed_with_a_half_width_reads_as_the_same_pair(value: float, half_width: float, kind: Kind) -> None:
    quantity = Uncertain(value, half_width)
    assert read_quantity(write_uncertain(quantity, kind), kind) == quantity


@given(text=st.one_of(st.text(), st.from_regex(r"[0-9.eE+-]{1,8} ?[a-zA-Z%/µ^*()]{0,6}( ?\+- ?.{0,8})?")), kind=st.sampled_from(q.KINDS))
def test_no_text_raises_anything_but_a_quantity_error_of_one_line(text: str, kind: Kind) -> None:
    outcome = _outcome(text, kind)
    assert outcome.isprintable() if isinstance(outcome, str) else math.isfinite(outcome.value) and math.isfinite(outcome.half_width)


def _outcome(text: str, kind: Kind) -> Uncertain | str:
    try:
        return read_quantity(text, kind)
    except QuantityError as error:
        return str(error)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (5e-05, q.CURRENT, "50 uA"),
        (3600.0, q.TIME, "3600 s"),
        (0.25, q.FRACTION, "25 %"),
        (5e-05, q.FRACTION, "50 ppm"),
        (0.0, q.CURRENT, "0 A"),
        (0.5, q.RATE, "0.5 /s"),
        (64e6, q.FREQUENCY, "64 MHz"),
    ],
)
def test_quantities_are_printed_with_a_handy_prefix(value: float, kind: Kind, text: str) -> None:
    assert write_quantity(value, kind) == text


def test_infinity_is_never_printed() -> None:
    with pytest.raises(QuantityError, match="inf"):
        write_quantity(math.inf, q.VOLTAGE)
