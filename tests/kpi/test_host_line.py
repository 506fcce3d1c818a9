"""Latency on a line that the host reads, against gates of known length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.records import HostGates, KpiRecord
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

INFER_S, DELAY_S, SCATTER_S, N = 8.3e-3, 2.2e-3, 5e-6, 400


def analysed(gates: HostGates | None) -> CaptureResult:
    capture = synth.periodic(Dut(), Bench(), np.random.default_rng(1), rate=7.3, events=8)
    return analyse_capture(dataclasses.replace(capture, host_gates=gates))


def seen(rng: np.random.Generator, *, call_s: float = 30e-6, clock: float = 0.0, late_s: float = 0.0) -> HostGates:
    """Of a board that starts DELAY_S after the line moved, somewhere within the call; each stamp is late by an interrupt's delay."""
    moved = np.arange(N) * 0.1 + rng.uniform(0, call_s, N)
    rise = moved + DELAY_S + late_s + rng.exponential(SCATTER_S, N)
    fall = moved + DELAY_S + INFER_S + late_s + rng.exponential(SCATTER_S, N)
    fired = [(k * 0.1, k * 0.1 + call_s) for k in range(N)]
    scaled = np.array([rise, rise, fall, fall]).T * (1 + clock)
    return HostGates(tuple(fired), tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in scaled))


def figure(result: CaptureResult, kpi: str) -> KpiRecord:
    return next(record for record in result.records if record.id == kpi)


def covers(record: KpiRecord, truth: float) -> bool:
    assert record.low is not None
    assert record.high is not None
    return record.low <= truth <= record.high


@pytest.mark.parametrize("clock", [-400e-6, 0.0, 400e-6])
def test_the_latency_is_the_gates_length_whatever_the_interrupts_delay(clock: float) -> None:
    result = analysed(seen(np.random.default_rng(3), clock=clock, late_s=50e-6))
    latency = figure(result, "latency.gpio.mean")
    assert covers(latency, INFER_S)
    assert latency.high is not None
    assert latency.value is not None
    assert latency.high - latency.value < 3 * (SCATTER_S / np.sqrt(N) + 500e-6 * INFER_S)
    assert figure(result, "latency.gpio.p95").n == N


def test_the_start_after_the_trigger_is_an_upper_bound_by_the_interrupts_delay() -> None:
    result = analysed(seen(np.random.default_rng(4)))
    found = figure(result, "trigger_to_start.gpio.mean")
    assert found.value == pytest.approx(DELAY_S + SCATTER_S, abs=5e-6)
    assert "upper bound" in found.note
    assert covers(found, DELAY_S + SCATTER_S)


def test_a_line_that_lost_edges_gives_no_figure_and_says_why() -> None:
    gates = dataclasses.replace(seen(np.random.default_rng(5)), lost="MARK: 2 edges were lost")
    withheld = figure(analysed(gates), "latency.gpio.mean")
    assert (withheld.value, withheld.flags[0]) == (None, "MARK: 2 edges were lost")


def test_where_not_every_firing_shows_only_the_latency_is_told() -> None:
    gates = seen(np.random.default_rng(6))
    result = analysed(dataclasses.replace(gates, fired_s=gates.fired_s[:-1]))
    assert covers(figure(result, "latency.gpio.mean"), INFER_S)
    assert figure(result, "trigger_to_start.gpio.mean").value is None


def test_a_host_that_sees_nothing_tells_nothing() -> None:
    assert [record.id for record in analysed(None).records if ".gpio" in record.id] == []
