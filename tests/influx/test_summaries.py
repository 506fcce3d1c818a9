"""Summaries against the samples they are made of, however those came."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from labd import fast
from labd.influx.scratch import Scratch
from labd.influx.summaries import samples_per_bucket, summarised

pytestmark = pytest.mark.usefixtures("either_way")

AMPERES = st.one_of(st.floats(2**-30, 1.0, width=32), st.sampled_from([float("nan"), float("inf"), float("-inf")]))


def samples(values: list[float]) -> dict[str, NDArray[np.float32]]:
    current = np.array(values, np.float32)
    return {"current": current, "voltage": np.full(len(values), 3.3, np.float32)}


@given(st.lists(AMPERES, min_size=1, max_size=60), st.integers(1, 13))
def test_a_bucket_is_what_its_samples_are(values: list[float], per_bucket: int) -> None:
    columns, dt_s = samples(values), 1e-3
    found = summarised([columns], per_bucket, dt_s, Scratch())
    for k in range(-(-len(values) // per_bucket)):
        part = columns["current"][k * per_bucket : (k + 1) * per_bucket].astype(np.float64)
        good = part[np.isfinite(part)]
        assert found["n"][k] == len(good)
        if not len(good):
            assert all(np.isnan(found[name][k]) for name in ("current", "current_min", "current_max", "charge", "energy"))
            continue
        assert_allclose(found["current"][k], good.mean(), rtol=1e-12)
        assert (found["current_min"][k], found["current_max"][k]) == (good.min(), good.max())
        assert_allclose(found["charge"][k], good.sum() * dt_s, rtol=1e-12)
        assert_allclose(found["energy"][k], (good * np.float64(np.float32(3.3))).sum() * dt_s, rtol=1e-12)


@given(st.lists(AMPERES, min_size=1, max_size=300), st.integers(1, 40), st.lists(st.integers(0, 90), max_size=8))
def test_buckets_are_the_same_to_the_bit_however_their_samples_come(values: list[float], per_bucket: int, cuts: list[int]) -> None:
    scratch = Scratch()
    whole = summarised([samples(values)], per_bucket, 1e-3, scratch)
    edges = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    parts = summarised((samples(values[k:end]) for k, end in pairwise(edges)), per_bucket, 1e-3, scratch)
    assert whole.keys() == parts.keys()
    for name, column in whole.items():
        assert np.array_equal(parts[name], column, equal_nan=True), name


@given(st.lists(AMPERES, min_size=1, max_size=600), st.integers(1, 200), st.booleans())
def test_compiled_or_not_the_figures_are_the_same(values: list[float], per_bucket: int, kept: bool) -> None:
    columns = samples(values)
    if kept:  # as they come from a file
        columns["voltage"].flags.writeable = False
    found = summarised([columns], per_bucket, 1e-3, Scratch())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "rows", lambda: None)
        plain = summarised([columns], per_bucket, 1e-3, Scratch())
    assert list(found) == list(plain)
    for name, column in plain.items():
        assert found[name].dtype == column.dtype, name
        if name == "n" or name.endswith(("_min", "_max")):
            assert np.array_equal(found[name], column, equal_nan=True), name
        else:
            assert_allclose(found[name], column, rtol=1e-13)


def test_without_voltage_there_is_no_power() -> None:
    found = summarised([{"current": np.ones(4, np.float32)}], 2, 0.5, Scratch())
    assert "power" not in found
    assert "energy" not in found
    assert found["charge"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("rate_hz", "dt_ns", "samples"), [(100, 20_480, 488), (100, 307_200, 33), (1000, 1000, 1000), (1, 10**10, 1)])
def test_a_bucket_is_a_whole_number_of_samples(rate_hz: float, dt_ns: int, samples: int) -> None:
    assert samples_per_bucket(rate_hz, dt_ns) == samples
