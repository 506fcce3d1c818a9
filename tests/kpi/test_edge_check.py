"""The current's own edges against the marker: a figure that no other rests on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from labd.kpi.capture import analyse_capture
from labd.kpi.inputs import CaptureInput
from labd.records import KpiRecord, MarkStyle, Mode
from tests.kpi import synth

DT_S, TAU_S = 20e-6, 25e-6
BENCH = dataclasses.replace(
    synth.Bench(),
    dt_s=DT_S,
    tau_s=TAU_S,
    terms=dataclasses.replace(synth.Bench().terms, time_constant_s=TAU_S, u_time_constant_s=1e-6, trigger_latency_s=1e-6),
)
BOARD = synth.Dut(mode=Mode.ALWAYS_ON, rest_a=1.1e-3)


def recorded(**more: object) -> CaptureInput:
    return synth.periodic(BOARD, BENCH, np.random.default_rng(3), rate=11.3, events=20, style=MarkStyle.GATE, **more)


def checked(capture: CaptureInput) -> list[KpiRecord]:
    return [record for record in analyse_capture(capture).records if record.id == "timeline.edge_to_marker"]


def test_edges_of_the_current_lie_on_those_of_the_marker() -> None:
    (apart,) = checked(recorded())
    assert apart.value is not None
    assert apart.u is not None
    assert abs(apart.value) < 2 * apart.u
    assert apart.u < 3e-6
    assert apart.unit == "s"


@pytest.mark.parametrize("records", [-4, 4])
def test_a_marker_that_comes_early_or_late_shows(records: int) -> None:
    """As behind a slow level shifter, or with a channel that is not sampled with the current."""
    capture = recorded()
    (one,) = capture.stretches
    assert one.marker is not None
    moved = dataclasses.replace(one, marker=np.roll(one.marker, records))
    (apart,) = checked(dataclasses.replace(capture, stretches=(moved,)))
    assert apart.value == pytest.approx(-records * DT_S, abs=5e-6)


def test_nothing_is_said_where_marker_and_burst_begin_at_different_instants() -> None:
    board = synth.Dut(mode=Mode.EVENT_SLEEP)
    assert checked(synth.periodic(board, BENCH, np.random.default_rng(3), rate=11.3, events=20)) == []


def test_inferences_without_a_burst_of_their_own_are_named() -> None:
    busy = dataclasses.replace(BOARD, rest_a=BOARD.infer_a)
    capture = synth.periodic(busy, BENCH, np.random.default_rng(3), rate=11.3, events=20, style=MarkStyle.GATE)
    (apart,) = checked(capture)
    assert apart.value is None
    assert "no bursts of their own" in " ".join((*apart.flags, apart.note))
