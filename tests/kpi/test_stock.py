"""Windows of stock firmware with known truth: what every window holds alike drops out, and intervals hold the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.inputs import CaptureInput, Detector, Stretch
from labd.kpi.stock import NO_PULSES, TOO_FEW
from labd.kpi.sweep import SweepResult, analyse_sweep
from labd.records import InferWindow, KpiRecord, MarkStyle, Mode, OperatingPoint, Role
from tests.kpi import synth
from tests.kpi.test_coverage import TRIALS, accept

VOLT, HIGH_V = 3.0, 3.0
POINT = OperatingPoint(Mode.ALWAYS_ON, 0.0, VOLT, "kws01")
COUNTS = (10, 20, 20, 10, 10, 20)
GROSS, NET, PIN = "energy_per_inference.gross", "energy_per_inference.net_of_idle", "latency.pin.mean"


@dataclass(frozen=True)
class Stock:
    """A board: layers of an inference (s, A), what it draws while it waits, spins at its pin and prints."""

    layers: tuple[tuple[float, float], ...] = ((4e-3, 14e-3), (3e-3, 9e-3))
    idle_a: float = 5e-3
    hold_a: float = 8e-3
    hold_s: float = 6e-3
    text_s: float = 17e-3
    text_a: float = 2e-3
    scatter: float = 0.003

    @property
    def infer_s(self) -> float:
        return sum(length for length, _ in self.layers)

    @property
    def infer_j(self) -> float:
        return VOLT * sum(length * amp for length, amp in self.layers)


BOARD = Stock()


def share_of(spans: Sequence[tuple[float, float]], edges: synth.Float) -> synth.Float:
    """Of each record, how much lies in one of the spans (begin, end)."""
    begins, ends = np.array(spans, dtype=np.float64).T
    return synth.gate_means(begins, ends, edges)


def capture(
    rng: np.random.Generator, *, seed: int = 1, counts: Sequence[int] = COUNTS, board: Stock = BOARD, bench: synth.Bench | None = None
) -> CaptureInput:
    """A log of `infer` commands; the pulse of a `timestamp` comes before."""
    bench = bench or synth.Bench()
    breaks, levels, at = [-1.0], [board.idle_a], 0.3
    low: list[tuple[float, float]] = [(0.1, 0.1 + board.hold_s)]

    def goes_on(length: float, amp: float) -> None:
        nonlocal at
        breaks.append(at)
        levels.append(amp)
        at += length

    text: list[tuple[float, float]] = []
    for count in counts:
        factor = 1 + board.scatter * rng.standard_normal()
        low.append((at, at + board.hold_s))
        goes_on(board.hold_s, board.hold_a)
        text.append((at, at + board.text_s))
        for _ in range(count):
            for length, amp in board.layers:
                goes_on(length, amp * factor)
        low.append((at, at + board.hold_s))
        goes_on(board.hold_s, board.hold_a)
        goes_on(0.12, board.idle_a)
    clock = 1 + bench.errors.get("timebase", 0.0) * (bench.terms.timebase or 0.0)
    edges: synth.Float = np.arange(int(at / bench.dt_s) + 1, dtype=np.float64) * bench.dt_s * clock
    current = synth.filtered_means(np.array(breaks), np.array(levels), edges, bench.tau_s)
    current += board.text_a * share_of(text, edges)
    marker = HIGH_V * (1 - share_of(low, edges))
    term = bench.terms.current[0]
    off = bench.errors.get("offset", 0.0) * (term.offset_a or 0.0)
    seen = current * (1 + bench.errors.get("gain", 0.0) * (term.gain or 0.0)) + off + bench.noise_a * rng.standard_normal(len(current))
    volts = VOLT * (1 + bench.errors.get("v_gain", 0.0) * 250e-6) + bench.errors.get("v_offset", 0.0) * 1.2e-3
    return CaptureInput(
        key=f"{POINT.key}/event/0",
        point=POINT,
        role=Role.EVENT,
        stretches=(
            Stretch(
                0.0,
                bench.dt_s,
                seen.astype(np.float32),
                np.full(len(seen), volts, np.float32),
                VOLT,
                (marker + bench.marker_noise_v * rng.standard_normal(len(marker))).astype(np.float32),
            ),
        ),
        mark_style=MarkStyle.PULSES,
        marker_high_v=HIGH_V,
        expected_events=len(counts),
        laps=(),
        meter=bench.terms,
        mains_hz=50.0,
        seed=seed,
        windows=tuple(InferWindow(count, None, board.text_s) for count in counts),
    )


def floor(rng: np.random.Generator, bench: synth.Bench, *, repeat: int, seed: int = 1) -> CaptureInput:
    dut = synth.Dut(mode=Mode.ALWAYS_ON, rest_a=BOARD.idle_a)
    made = synth.floor(dut, bench, rng, length_s=1.0, seed=seed)
    return dataclasses.replace(made, key=f"{POINT.key}/floor/{repeat}", point=POINT)


def sweep(captures: Sequence[CaptureInput], rates_hz: Sequence[float] = ()) -> SweepResult:
    return analyse_sweep([analyse_capture(c) for c in captures], detector=Detector(), battery=None, seed=1, rates_hz=rates_hz)


def get(result: CaptureResult | SweepResult, kpi: str) -> KpiRecord:
    return next(record for record in result.records if record.id == kpi)


def test_intervals_of_energy_charge_and_time_hold_the_truth() -> None:
    truths = {GROSS: BOARD.infer_j, "charge_per_inference": BOARD.infer_j / VOLT, PIN: BOARD.infer_s}
    rng = np.random.default_rng(31)
    hits = dict.fromkeys(truths, 0)
    for seed in range(TRIALS):
        result = analyse_capture(capture(rng, seed=seed, bench=synth.Bench(errors=synth.draw_errors(rng))))
        for kpi, true in truths.items():
            record = get(result, kpi)
            assert record.low is not None
            assert record.high is not None
            hits[kpi] += record.low <= true <= record.high
    assert hits.pop(PIN) >= 0.95 * TRIALS  # hardly more than the limit of the timebase is in it, which holds always
    accept(hits)


def test_hold_and_text_of_any_length_are_no_part_of_an_inference() -> None:
    still = dataclasses.replace(BOARD, scatter=0.0)
    quiet = synth.Bench(noise_a=0.0, marker_noise_v=0.0, tau_s=1e-6)
    for hold_s, text_s in ((1e-3, 0.0), (9e-3, 30e-3)):
        board = dataclasses.replace(still, hold_s=hold_s, text_s=text_s)
        result = analyse_capture(capture(np.random.default_rng(1), board=board, bench=quiet))
        assert get(result, GROSS).value == pytest.approx(board.infer_j, rel=2e-4)
        assert get(result, PIN).value == pytest.approx(board.infer_s, rel=2e-4)
        assert result.problems == ()


def test_the_median_has_the_hold_in_it_and_the_text() -> None:
    board = dataclasses.replace(BOARD, scatter=0.0)
    record = get(analyse_capture(capture(np.random.default_rng(1), board=board)), "energy_per_inference.mlperf_median")
    more = VOLT * (board.hold_s * board.hold_a + board.text_s * board.text_a)
    assert record.value == pytest.approx(board.infer_j + more / 10, rel=1e-3)
    assert record.n == 3


def test_a_median_of_six_windows_has_an_interval() -> None:
    record = get(analyse_capture(capture(np.random.default_rng(1), counts=(10, 20) * 6)), "energy_per_inference.mlperf_median")
    assert record.low is not None
    assert record.value is not None
    assert record.low < record.value < (record.high or 0.0)
    assert record.flags == ("windows shorter than 10 s",)


def test_windows_that_the_text_outlasts_are_left_out_and_told() -> None:
    result = analyse_capture(capture(np.random.default_rng(1), counts=(2, 10, 20, 10, 20)))
    assert result.problems == ("1 windows left out: records are missing, or text is sent to their end",)
    assert get(result, GROSS).n == 4
    assert get(result, GROSS).value == pytest.approx(BOARD.infer_j, rel=0.02)


def test_windows_of_one_number_tell_nothing_of_one_inference() -> None:
    result = analyse_capture(capture(np.random.default_rng(1), counts=(10, 10, 10)))
    for kpi in (GROSS, PIN, "inference_rate.back_to_back"):
        assert get(result, kpi).value is None
        assert get(result, kpi).flags[0] == TOO_FEW


def test_a_pulse_that_is_missing_withholds_everything() -> None:
    made = capture(np.random.default_rng(1))
    result = analyse_capture(dataclasses.replace(made, windows=(*made.windows, *made.windows, InferWindow(10))))
    assert get(result, GROSS).value is None
    assert any("13 falling edges, windows need pairs" in problem for problem in result.problems)


def test_windows_of_few_records_are_not_resolved() -> None:
    result = analyse_capture(
        capture(np.random.default_rng(1), bench=synth.Bench(dt_s=12e-3), board=dataclasses.replace(BOARD, hold_s=30e-3))
    )
    assert get(result, GROSS).flags[0] == "not resolved"
    assert get(result, PIN).value is None


def test_a_counter_without_a_declared_limit_has_no_interval() -> None:
    ticks = tuple(InferWindow(count, 1500 + round(count * BOARD.infer_s * 1e6) + k, lap_text_s=1.5e-3) for k, count in enumerate(COUNTS))
    made = dataclasses.replace(capture(np.random.default_rng(1)), windows=ticks, mark_style=MarkStyle.TEXT)
    for limit in (None, 1e-4):
        result = analyse_capture(dataclasses.replace(made, device_clock=limit))
        record = get(result, "latency.dut_counter.mean")
        assert record.value == pytest.approx(BOARD.infer_s, rel=1e-4)
        assert (record.low is None) == (limit is None)
        assert get(result, GROSS).flags[0] == NO_PULSES


def test_energy_above_idle_is_blind_to_the_offset_that_both_captures_share() -> None:
    rng = np.random.default_rng(5)
    bench = synth.Bench(errors={"offset": 1.0})
    found = sweep([capture(rng, bench=bench), floor(rng, bench, repeat=0), floor(rng, bench, repeat=1)], rates_hz=(0.0, 5.0))
    true = BOARD.infer_j - VOLT * BOARD.idle_a * BOARD.infer_s
    net = get(found, NET)
    assert net.low is not None
    assert net.low <= true <= (net.high or 0.0)
    assert not [line for line in net.budget if line.name.endswith(".offset") and abs(line.u) > 1e-3 * true]
    assert get(found, "power.mean").value == pytest.approx((get(found, "fit.floor_power").value or 0.0) + 5 * (net.value or 0.0), rel=1e-9)


def test_without_a_floor_there_is_no_energy_above_idle() -> None:
    found = sweep([capture(np.random.default_rng(1))])
    assert get(found, NET).flags[0] == "needs rate 0"
    assert get(found, "break_even_rate").flags == ("stock firmware is always_on only",)
