"""Captures whose events no line tells: figures rest on the bursts of the current alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.inputs import CaptureInput, MeterTerms, RangeTerm
from labd.records import KpiRecord, MarkStyle, Mode, Phase
from tests.kpi import synth

GROSS = "energy_per_inference.gross"
IDLE_W = 3.3e-3


def always_on(*, bench: synth.Bench) -> CaptureInput:
    """Without a marker column, by an instrument of which nobody knows how late its lines are."""
    terms = dataclasses.replace(bench.terms, trigger_latency_s=None)
    board = synth.Dut(mode=Mode.ALWAYS_ON, rest_a=IDLE_W / 3.0, dispersion=0.0)
    made = synth.periodic(
        board, dataclasses.replace(bench, terms=terms), np.random.default_rng(5), rate=11.3, events=20, style=MarkStyle.TEXT
    )
    return dataclasses.replace(made, stretches=tuple(dataclasses.replace(one, marker=None) for one in made.stretches), laps=())


def figure(result: CaptureResult, name: str) -> KpiRecord:
    (one,) = [record for record in result.records if record.id == name]
    return one


def test_the_latency_of_a_line_that_is_not_there_leaves_no_figure_without_an_interval() -> None:
    one = figure(analyse_capture(always_on(bench=synth.Bench())), GROSS)
    assert one.low is not None
    assert one.u is not None


def test_an_edge_of_the_current_takes_in_half_a_record_of_the_level_around_it() -> None:
    """By a meter that errs in nothing else."""
    exact = MeterTerms("smu", (RangeTerm(0.1, 0.0, 0.0),), 0.0, 0.0, 0.0, time_constant_s=10e-6)
    bench = dataclasses.replace(synth.Bench(), terms=exact, noise_a=0.0, noise_v=0.0)
    one = figure(analyse_capture(always_on(bench=bench)), GROSS)
    assert one.u is not None
    assert one.u > IDLE_W * bench.dt_s / 2 / np.sqrt(3)


@pytest.mark.parametrize("u_tau_s", [1e-9, 300e-6])
def test_windows_by_bursts_are_known_no_better_than_the_supply_path(u_tau_s: float) -> None:
    board, bench = synth.Dut(), synth.Bench()
    terms = dataclasses.replace(bench.terms, u_time_constant_s=u_tau_s)
    made = synth.periodic(board, dataclasses.replace(bench, terms=terms), np.random.default_rng(5), rate=11.3, events=20)
    tails = [window for window in analyse_capture(made).windows if window.phase is Phase.TAIL]
    assert len(tails) == 20
    assert all((window.u_end_s > 300e-6) is (u_tau_s == 300e-6) for window in tails)


def test_bursts_before_the_first_event_are_no_events_though_a_mark_lies_outside() -> None:
    """There the device talks to its host, whatever became of one of the marks."""
    made = synth.periodic(synth.Dut(), synth.Bench(), np.random.default_rng(6), rate=11.3, events=20)
    (one,) = made.stretches
    assert one.marker is not None
    current, marker = one.current.copy(), one.marker.copy()
    current[20:60] = 3e-3
    high, last = float(marker.max()), len(marker) - 10
    for k in (last - 8, last - 4):
        marker[k : k + 2] = high
    seen = analyse_capture(dataclasses.replace(made, stretches=(dataclasses.replace(one, current=current, marker=marker),)))
    assert any("outside every burst" in problem for problem in seen.problems)
    assert not any("without a mark" in problem for problem in seen.problems)
