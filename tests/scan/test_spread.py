"""Quantiles from counts in narrow bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.scan.spread import Spread

VALUES = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(values=st.lists(VALUES, min_size=1), share=st.floats(0, 1))
def test_a_quantile_is_that_of_the_sorted_values_to_the_width_of_a_bin(values: list[float], share: float) -> None:
    spread = Spread()
    spread.add(np.array(values))
    exact = sorted(values)[max(1, int(np.ceil(share * len(values)))) - 1]
    assert spread.quantile(share) == pytest.approx(exact, rel=2**-14 * 1.01, abs=1e-300)


@given(values=st.lists(VALUES, min_size=1), at=st.integers(0, 100))
def test_it_does_not_matter_how_values_come(values: list[float], at: int) -> None:
    whole, parts = Spread(), Spread()
    whole.add(np.array(values))
    for part in (values[:at], values[at:]):
        parts.add(np.array(part))
        _ = parts.total
    assert (parts.count, parts.total, parts.low, parts.high) == (whole.count, whole.total, whole.low, whole.high)
    assert [parts.quantile(q) for q in (0, 0.3, 1)] == [whole.quantile(q) for q in (0, 0.3, 1)]


def test_without_values_there_is_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        Spread().quantile(0.5)
