"""Buckets of live samples, by numpy and in the compiled pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from labd import fast
from labd.live.envelope import Band, bands_of

Samples = NDArray[np.float32]
RNG = np.random.default_rng(1)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> Callable[..., None]:
    loaded = fast.rows()
    assert loaded is not None
    return loaded


def columns(count: int) -> dict[str, Samples]:
    return {"current": RNG.normal(0.01, 1e-3, count).astype(np.float32), "voltage": RNG.normal(3.0, 1e-3, count).astype(np.float32)}


def plainly(values: Samples, per_bucket: int) -> Band:
    rows = values.reshape(-1, per_bucket).astype(np.float64)
    found = np.nanmin(rows, axis=1), np.nanmax(rows, axis=1), np.nanmean(rows, axis=1)
    return Band(*(column.astype(np.float32) for column in found))


def same(found: Band, expected: Band) -> bool:
    extremes = np.array_equal(found.low, expected.low) and np.array_equal(found.high, expected.high)
    return extremes and bool(np.allclose(found.mean, expected.mean, rtol=1e-6))


@given(per_bucket=st.integers(2, 300), buckets=st.integers(1, 20))
def test_buckets_are_what_plain_numpy_makes_of_them(per_bucket: int, buckets: int) -> None:
    given_columns = columns(per_bucket * buckets)
    expected = given_columns | {"power": given_columns["current"] * given_columns["voltage"]}
    found = bands_of(given_columns, per_bucket).bands
    assert list(found) == ["current", "voltage", "power"]
    assert all(same(found[name], plainly(values, per_bucket)) for name, values in expected.items())


def test_sums_come_with_the_compiled_pass_and_from_nowhere_else() -> None:
    whole, cut = columns(400), columns(399)
    found = bands_of(whole, 100)
    assert found.current == pytest.approx(whole["current"].sum(dtype=float))
    assert found.power == pytest.approx(whole["current"].astype(float) @ whole["voltage"].astype(float))
    assert (bands_of(cut, 100).current, bands_of(cut, 100).power) == (None, None)


def test_over_range_samples_count_as_missing() -> None:
    given_columns = columns(400)
    given_columns["current"][150] = np.nan
    found = bands_of(given_columns, 100).bands
    assert same(found["current"], plainly(given_columns["current"], 100))
    assert same(found["power"], plainly(given_columns["current"] * given_columns["voltage"], 100))


def test_a_bucket_that_has_begun_and_one_that_has_not_ended_are_made_as_they_are() -> None:
    given_columns = columns(150)
    found = bands_of(given_columns, 100, head=80).bands
    assert [len(found[name].mean) for name in ("current", "voltage", "power")] == [3, 3, 3]
    assert found["current"].low[0] == given_columns["current"][:20].min()
    assert found["current"].low[2] == given_columns["current"][120:].min()


def test_no_power_without_a_voltage() -> None:
    assert list(bands_of({"current": np.ones(4, np.float32), "marker": np.ones(4, np.float32)}, 2).bands) == ["current", "marker"]
