"""A log that runs on while the device is awake for its host must not take that for its rest."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from labd.kpi.capture import analyse_capture
from labd.kpi.inputs import Stretch
from labd.records import Mode
from tests.kpi import synth
from tests.kpi.test_capture import dut, get, value  # the same board


def test_time_awake_after_the_last_event_changes_no_figure_of_the_events() -> None:
    board = dut(Mode.EVENT_SLEEP)
    capture = synth.periodic(board, synth.Bench(), np.random.default_rng(1), rate=0.8 / board.on_s, events=24)
    (stretch,) = capture.stretches
    noise = np.random.default_rng(2).normal(0, 8e-6, 4 * len(stretch.current))
    waiting = (1.1e-3 + noise).astype(np.float32)  # wfi, four times as long as the program
    waiting[:200] = 8e-3  # it wakes to say that it is done
    longer = _appended(stretch, waiting)
    alone, awake = analyse_capture(capture), analyse_capture(dataclasses.replace(capture, stretches=(longer,)))
    for kpi in ("energy_per_inference.net_of_sleep", "power.sleep", "energy_per_inference.per_event"):
        record = get(alone, kpi)
        assert record.u is not None
        assert value(awake, kpi) == pytest.approx(value(alone, kpi), abs=record.u), kpi


def _appended(stretch: Stretch, current: np.ndarray) -> Stretch:
    def more(column: np.ndarray | None, fill: float) -> np.ndarray | None:
        return None if column is None else np.concatenate([column, np.full(len(current), fill, np.float32)])

    return dataclasses.replace(
        stretch,
        current=np.concatenate([stretch.current, current]),
        voltage=more(stretch.voltage, 3.0),
        marker=more(stretch.marker, 0.0),
    )
