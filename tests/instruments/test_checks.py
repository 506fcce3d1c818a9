"""Limits and record counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_instruments.checks import Clock, RecordCheck, require_points, same, within
from labd_instruments.errors import LostSamplesError, OutOfRangeError, ReadBackError


def clock(u_s: float = 0.0) -> Clock:
    return Clock("test clock", lambda: 0.0, u_s)


def test_a_value_outside_is_refused_with_value_limits_and_their_place() -> None:
    with pytest.raises(OutOfRangeError, match=r"supply is 5 V, allowed is 0 to 3.6 V \(bench.toml: limits.voltage\)"):
        within("supply", 5.0, low=0.0, high=3.6, unit="V", limit="bench.toml: limits.voltage")


@given(st.floats(-10, 10))
def test_a_value_is_never_clipped(value: float) -> None:
    try:
        assert within("x", value, low=-1.0, high=1.0, unit="", limit="test") == value
    except OutOfRangeError:
        assert abs(value) > 1.0


def test_a_small_lower_limit_beside_a_large_upper_one_still_holds() -> None:
    with pytest.raises(OutOfRangeError):
        within("interval", 5e-6, low=10e-6, high=40_000.0, unit="s", limit="test")


def test_nan_is_outside_every_limit() -> None:
    with pytest.raises(OutOfRangeError):
        within("x", float("nan"), low=0.0, high=1.0, unit="", limit="test")
    with pytest.raises(ReadBackError):
        same("x", 1.0, float("nan"), tolerance=1.0)


def test_a_setting_that_reads_back_otherwise_is_an_error() -> None:
    assert same("x", 1.0, 1.001, tolerance=0.01) == 1.001
    with pytest.raises(ReadBackError, match="was set to 1 and reads back 2"):
        same("x", 1.0, 2.0, tolerance=0.01)


def test_one_record_may_be_under_way() -> None:
    check = RecordCheck(1e-3, 0.0, clock())
    assert check.missing(999, 1.0) == 0
    assert check.missing(998, 1.0) == 2


def test_timebase_and_host_clock_widen_the_tolerance() -> None:
    assert RecordCheck(1e-3, 1e-2, clock()).missing(990, 1.0) == 0
    assert RecordCheck(1e-3, 0.0, clock(u_s=0.25)).missing(750, 1.0) == 0
    assert RecordCheck(1e-3, 0.0, clock(u_s=0.25)).missing(740, 1.0) == 260


def test_lost_records_are_counted_in_the_error() -> None:
    with pytest.raises(LostSamplesError, match=r"smu: 500 records in 1.000 s by the test clock, 1000 were due \(500 lost\)") as caught:
        RecordCheck(1e-3, 0.0, clock()).require("smu", 500, 1.0)
    assert (caught.value.expected, caught.value.received) == (1000, 500)


def test_what_the_check_cannot_see_is_stated() -> None:
    assert "cannot see losses below 251 records" in str(RecordCheck(1e-3, 1e-4, clock(u_s=0.25)))


@given(received=st.integers(0, 10_000), lost=st.integers(0, 10_000))
def test_more_records_than_time_passed_are_no_loss_and_a_loss_is_never_understated(received: int, lost: int) -> None:
    found = RecordCheck(1.0, 0.0, clock()).missing(received, float(received + lost))
    assert found == (lost if lost > 1 else 0)


def test_a_buffer_with_points_missing_is_lost_samples() -> None:
    require_points("smu", "the capture", expected=10, received=10)
    with pytest.raises(LostSamplesError, match="9 of 10"):
        require_points("smu", "the capture", expected=10, received=9)
