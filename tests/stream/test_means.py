"""Energies of a capture and of its run, whenever somebody looks."""

from __future__ import annotations

import numpy as np
import pytest

from labd.records import MarkStyle, Mode
from labd.stream.feed import FeedBlock, FeedStart
from labd.stream.means import Means
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition

ACQUISITION = Acquisition(1000, ("current", "voltage"), 1e-6, 0.1, 5.0)


def start(run: str, order: int) -> FeedStart:
    return FeedStart(run, f"capture {order}", "smu", order, "mean", "point", Mode.ALWAYS_ON, MarkStyle.GATE, ACQUISITION, 0)


def block(ampere: float) -> FeedBlock:
    """1000 samples of 1 us at 2 V: 2 mJ an ampere."""
    values = np.full(1000, ampere, np.float32)
    return FeedBlock(Block(0, 0, 1000, values, np.full(1000, 2, np.float32)), 0, 0, False, 0)


@pytest.mark.parametrize("looks", [True, False])
def test_a_runs_energy_goes_on_over_its_captures_and_begins_anew_with_the_next_run(looks: bool) -> None:
    means = Means()
    for item in (start("a", 0), block(1), block(2), start("a", 1), block(3)):
        means.add(item)
        if looks:
            means.taken()
    means.taken()
    assert means.run_energy_j == pytest.approx(12e-3)
    means.add(block(1))
    found = means.taken()
    assert found is not None
    assert found["energy"] == pytest.approx(8e-3)
    assert means.run_energy_j == pytest.approx(14e-3)
    for item in (start("b", 0), block(1)):
        means.add(item)
    means.taken()
    assert means.run_energy_j == pytest.approx(2e-3)
