from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.edge_gated import edge_gated
from labd.kpi.estimate import TERM_UNKNOWN
from labd.kpi.inputs import CaptureInput, MeterTerms, RangeTerm
from labd.records import KpiRecord, MarkStyle, Mode, Phase, Role
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

QUIET = Bench(noise_a=1e-9, noise_v=1e-9, marker_noise_v=1e-6)
STEADY = {"dispersion": 1e-7}
MODES = [Mode.ALWAYS_ON, Mode.EVENT_SLEEP, Mode.EVENT_RELOAD]


def dut(mode: Mode, **more: float) -> Dut:
    rest = 1.2e-3 if mode == Mode.ALWAYS_ON else 30e-6
    return dataclasses.replace(Dut(mode=mode, rest_a=rest), **more)  # type: ignore[arg-type]


def get(result: CaptureResult, kpi: str) -> KpiRecord:
    return next(r for r in result.records if r.id == kpi)


def value(result: CaptureResult, kpi: str) -> float:
    found = get(result, kpi).value
    assert found is not None, (kpi, get(result, kpi).flags)
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tau", [1e-6, 10e-6, 60e-6])
def test_without_noise_every_energy_is_the_truth(mode: Mode, tau: float) -> None:
    board = dut(mode, **STEADY)
    bench = dataclasses.replace(QUIET, tau_s=tau, terms=dataclasses.replace(QUIET.terms, time_constant_s=tau))
    result = analyse_capture(synth.periodic(board, bench, np.random.default_rng(1), rate=7.3, events=8))
    assert result.problems == ()
    for kind, truth in board.truth.items():
        # 5 time constants leave 0.7 % of a step outside a guard, and as much in the level before an edge
        assert value(result, f"energy_per_inference.{kind}") == pytest.approx(truth, rel=2e-5 + 0.014 * tau / 8e-3), kind
    assert value(result, "power.mean") == pytest.approx(board.mean_w(7.3), rel=5e-5)
    assert value(result, "energy_per_inference.at_rate") == pytest.approx(board.mean_w(7.3) / 7.3, rel=5e-5)
    assert value(result, "inference_rate") == pytest.approx(7.3, rel=1e-6)
    assert value(result, "latency.pin.mean") == pytest.approx(board.infer_s, rel=1e-6)
    assert value(result, "duty_cycle") == pytest.approx(board.on_s * 7.3, rel=3e-3)


@pytest.mark.parametrize("mode", MODES[1:])
def test_phases_of_triggered_captures_are_the_truth_and_sum_to_the_event(mode: Mode) -> None:
    board = dut(mode, **STEADY)
    bench = dataclasses.replace(QUIET, dt_s=20e-6)
    result = analyse_capture(synth.triggered(board, bench, np.random.default_rng(2), events=6))
    wake, load = board.phase("wake"), board.phase("load")
    assert value(result, "phase_energy.infer") == pytest.approx(board.truth["gross"], rel=2e-5)
    assert value(result, "phase_energy.tail") == pytest.approx(board.volt * board.tail_s * board.tail_a, rel=2e-3)
    around = board.volt * (wake[0] * wake[1] + board.ready_s * board.wake_a)
    names = ["wake", "infer", "tail"]
    if mode == Mode.EVENT_RELOAD:
        assert value(result, "phase_energy.load") == pytest.approx(board.volt * load[0] * load[1], rel=2e-5)
        names.append("load")
    else:
        around += board.volt * load[0] * load[1]
    assert value(result, "phase_energy.wake") == pytest.approx(around, rel=1e-3)
    total = sum(value(result, f"phase_energy.{name}") for name in names)
    assert total == pytest.approx(value(result, "energy_per_inference.per_event"), rel=1e-9)
    assert value(result, "wake_up.total") == pytest.approx(wake[0] + load[0], rel=1e-6)
    assert value(result, "wake_up.wake") == pytest.approx(wake[0], rel=1e-6)
    assert value(result, "wake_up.load") == pytest.approx(load[0], rel=1e-6)


def test_without_the_event_on_the_axis_wake_up_is_a_lower_bound_by_name() -> None:
    result = analyse_capture(synth.periodic(dut(Mode.EVENT_SLEEP), Bench(), np.random.default_rng(1), rate=10, events=6))
    ids = {r.id for r in result.records}
    assert "wake_up.current_rise_to_ready" in ids
    assert "wake_up.total" not in ids


def test_neighbouring_phases_share_the_displacement_of_their_edge_with_opposite_sign() -> None:
    terms = dataclasses.replace(QUIET.terms, trigger_latency_s=20e-6)
    bench = dataclasses.replace(QUIET, dt_s=20e-6, terms=terms)
    result = analyse_capture(synth.triggered(dut(Mode.EVENT_SLEEP, **STEADY), bench, np.random.default_rng(2), events=6))
    wake, infer = (result.estimates[f"phase_energy.{name}"].value for name in ("wake", "infer"))
    moved = [next(c for v, c in e.derivatives.items() if v.tag.name == "smu:latency.start") for e in (wake, infer)]
    assert moved[0] == pytest.approx(-moved[1])
    step = 3.0 * (12e-3 - 3e-3)
    assert abs(moved[0]) == pytest.approx(step * 20e-6, rel=1e-3)


def test_an_unknown_latency_leaves_what_hangs_on_edges_without_interval() -> None:
    bench = dataclasses.replace(QUIET, dt_s=20e-6, terms=dataclasses.replace(QUIET.terms, trigger_latency_s=None))
    result = analyse_capture(synth.triggered(dut(Mode.EVENT_RELOAD, **STEADY), bench, np.random.default_rng(2), events=6))
    quantiles = ("wake_up.total.p50", "wake_up.load.p50", "latency.pin.p50")
    for kpi in ("wake_up.total", "wake_up.wake", "wake_up.load", "latency.pin.mean", "phase_energy.infer", *quantiles):
        record = get(result, kpi)
        assert record.value is not None, kpi
        assert (record.low, record.high) == (None, None), kpi
        assert TERM_UNKNOWN in record.flags, kpi
        assert "smu:latency" in record.note, kpi
    whole = get(result, "energy_per_inference.per_event")  # guard bands hold both edges: no latency in them
    assert whole.low is not None
    assert TERM_UNKNOWN not in whole.flags


def test_wake_up_by_phases_has_its_distribution() -> None:
    board = dut(Mode.EVENT_RELOAD, **STEADY)
    result = analyse_capture(synth.triggered(board, dataclasses.replace(QUIET, dt_s=20e-6), np.random.default_rng(2), events=60))
    true = {"wake": board.phase("wake")[0], "load": board.phase("load")[0]}
    true["total"] = true["wake"] + true["load"]
    for phase, seconds in true.items():
        for quantile in ("p50", "p95"):
            record = get(result, f"wake_up.{phase}.{quantile}")
            assert record.low is not None
            assert record.high is not None
            assert record.low <= seconds <= record.high
            assert record.high - record.low < 2e-6
        assert get(result, f"wake_up.{phase}.p99").value is None


def test_a_quantile_of_wake_up_is_of_its_events_not_of_their_mean() -> None:
    """Every third wake-up takes half as long again: the median is not moved, the 95 % quantile is one of those."""
    board = dut(Mode.EVENT_SLEEP, **STEADY)
    slow = dataclasses.replace(board, wake_s=1.5 * board.wake_s)
    bench, rng = dataclasses.replace(QUIET, dt_s=20e-6), np.random.default_rng(2)
    parts = [synth.triggered(slow if k % 3 == 0 else board, bench, rng, events=1) for k in range(60)]
    whole = dataclasses.replace(parts[0], stretches=tuple(part.stretches[0] for part in parts), expected_events=60)
    result = analyse_capture(whole)
    assert value(result, "wake_up.wake") == pytest.approx(board.wake_s * (1 + 0.5 / 3), rel=1e-4)
    assert value(result, "wake_up.wake.p50") == pytest.approx(board.wake_s, rel=1e-4)
    assert value(result, "wake_up.wake.p95") == pytest.approx(slow.wake_s, rel=1e-4)
    middle = get(result, "wake_up.wake.p50")
    assert middle.low is not None
    assert middle.high is not None
    assert middle.low <= board.wake_s <= middle.high < slow.wake_s


def test_a_declared_latency_widens_wake_up() -> None:
    board, rng = dut(Mode.EVENT_RELOAD, **STEADY), np.random.default_rng(2)
    terms = dataclasses.replace(QUIET.terms, trigger_latency_s=50e-6)
    record = get(
        analyse_capture(synth.triggered(board, dataclasses.replace(QUIET, dt_s=20e-6, terms=terms), rng, events=6)), "wake_up.total"
    )
    assert record.low is not None
    assert record.high is not None
    assert 50e-6 < (record.high - record.low) / 2 < 100e-6  # two ends of 50 us each


def test_the_edge_gated_estimate_is_biased_where_the_guarded_one_is_not() -> None:
    board = dut(Mode.ALWAYS_ON, **STEADY)
    bench = dataclasses.replace(QUIET, tau_s=60e-6, terms=dataclasses.replace(QUIET.terms, time_constant_s=60e-6))
    capture = synth.periodic(board, bench, np.random.default_rng(4), rate=11.3, events=30, style=MarkStyle.GATE)
    naive = edge_gated(capture)
    assert naive.value is not None
    assert naive.value < board.truth["gross"] * (1 - 3e-3)
    assert value(analyse_capture(capture), "energy_per_inference.gross") == pytest.approx(board.truth["gross"], rel=5e-5)


def test_text_marks_are_placed_inside_the_bursts() -> None:
    board = dut(Mode.EVENT_SLEEP, **STEADY)
    rng = np.random.default_rng(6)
    capture = synth.periodic(board, QUIET, rng, rate=9.7, events=12)
    begins = (np.arange(12) + 1) / 9.7
    laps = synth.laps(board, begins, clock_error=0.02)
    result = analyse_capture(dataclasses.replace(capture, mark_style=MarkStyle.TEXT, laps=laps))
    gross = get(result, "energy_per_inference.gross")
    assert gross.low is not None
    assert gross.high is not None
    assert gross.low <= board.truth["gross"] <= gross.high
    assert any("placement" in line.name for line in gross.budget)
    counter = value(result, "latency.dut_counter.mean")
    assert counter == pytest.approx(board.infer_s, rel=5e-4), "the device's clock error of 2 % is taken out"
    assert "latency.pin.mean" not in {r.id for r in result.records}


def test_text_marks_in_always_on_ride_on_the_bursts_edges() -> None:
    board = dut(Mode.ALWAYS_ON, **STEADY)
    capture = synth.periodic(board, QUIET, np.random.default_rng(6), rate=9.7, events=12, style=MarkStyle.GATE)
    laps = synth.laps(board, (np.arange(12) + 1) / 9.7)
    result = analyse_capture(dataclasses.replace(capture, mark_style=MarkStyle.TEXT, laps=laps))
    assert value(result, "energy_per_inference.gross") == pytest.approx(board.truth["gross"], rel=1e-3)


def test_a_counter_tied_to_nothing_needs_a_declared_clock() -> None:
    board = dut(Mode.EVENT_SLEEP, **STEADY)
    capture = synth.triggered(board, dataclasses.replace(QUIET, dt_s=20e-6), np.random.default_rng(2), events=4)
    bare = dataclasses.replace(capture, mark_style=MarkStyle.TEXT, laps=synth.laps(board, np.arange(4.0)))
    unknown = get(analyse_capture(bare), "latency.dut_counter.mean")
    assert TERM_UNKNOWN in unknown.flags
    assert unknown.low is None
    declared = get(analyse_capture(dataclasses.replace(bare, device_clock=0.02)), "latency.dut_counter.mean")
    assert declared.u == pytest.approx(board.infer_s * 0.02 / math.sqrt(3), rel=0.01)
    assert get(analyse_capture(bare), "energy_per_inference.gross").flags[0] == "not resolved"


def test_seamless_ranges_keep_their_own_gains_and_offsets() -> None:
    terms = dataclasses.replace(Bench().terms, current=(RangeTerm(1e-3, 25e-5, 1e-7), RangeTerm(0.1, 25e-5, 1e-5)))
    result = analyse_capture(
        synth.periodic(dut(Mode.EVENT_SLEEP), Bench(terms=terms, noise_a=1e-7), np.random.default_rng(1), rate=5, events=8)
    )
    sleep, net = get(result, "power.sleep"), get(result, "energy_per_inference.net_of_sleep")
    names = {line.name for line in sleep.budget}
    assert "smu:current[0.001 A].offset" in names
    assert "smu:current[0.1 A].offset" not in names
    assert sleep.u == pytest.approx(3e-7 / math.sqrt(3), rel=0.3)
    assert "smu:current[0.1 A].offset" in {line.name for line in net.budget}


def test_the_offset_of_one_range_cancels_in_net_energies() -> None:
    result = analyse_capture(synth.periodic(dut(Mode.EVENT_SLEEP), Bench(), np.random.default_rng(1), rate=5, events=8))
    net, whole = (get(result, f"energy_per_inference.{kind}").budget for kind in ("net_of_sleep", "per_event"))
    offset = [next((abs(line.u) for line in lines if line.name == "smu:current[0.1 A].offset"), 0.0) for lines in (net, whole)]
    assert offset[0] < 1e-3 * offset[1]


def test_a_short_phase_is_not_resolved_and_has_no_value() -> None:
    record = get(
        analyse_capture(synth.periodic(dut(Mode.EVENT_RELOAD), Bench(), np.random.default_rng(1), rate=5, events=6)), "phase_energy.wake"
    )
    assert record.value is None
    assert record.flags[0] == "not resolved"


@pytest.mark.parametrize("mode", [Mode.EVENT_SLEEP, Mode.EVENT_RELOAD])
def test_a_wake_with_an_unmarked_load_in_it_is_not_called_wake(mode: Mode) -> None:
    capture = synth.periodic(
        dut(mode), dataclasses.replace(Bench(), dt_s=50e-6), np.random.default_rng(1), rate=5, events=6, style=MarkStyle.GATE
    )
    found = analyse_capture(capture)
    wake = get(found, "phase_energy.wake")
    if mode is Mode.EVENT_SLEEP:
        assert wake.value is not None
        return
    assert wake.value is None
    assert wake.flags[0] == "the load is not marked in this capture"
    assert "phase_energy.wake" not in found.estimates
    assert get(found, "phase_energy.infer").value is not None


def test_quantiles_need_enough_values() -> None:
    result = analyse_capture(
        synth.periodic(dut(Mode.ALWAYS_ON), Bench(), np.random.default_rng(1), rate=20, events=60, style=MarkStyle.GATE)
    )
    middle, high = get(result, "latency.pin.p50"), get(result, "latency.pin.p95")
    assert middle.low is not None
    assert high.value is not None
    assert high.method == "order statistics"
    assert get(result, "latency.pin.p99").flags[0] == "needs n >= 299"
    assert get(result, "latency.pin.p99").value is None


def test_an_unknown_gain_leaves_values_without_intervals() -> None:
    terms = dataclasses.replace(Bench().terms, current=(RangeTerm(0.1, None, 1e-5),))
    result = analyse_capture(synth.periodic(dut(Mode.ALWAYS_ON), Bench(terms=terms), np.random.default_rng(1), rate=10, events=6))
    gross = get(result, "energy_per_inference.gross")
    assert gross.value is not None
    assert gross.u is None
    assert TERM_UNKNOWN in gross.flags
    assert get(result, "latency.pin.mean").u is not None


def with_nan(capture: CaptureInput, at_s: float) -> CaptureInput:
    one = capture.stretches[0]
    current = one.current.copy()
    current[int(at_s / one.dt_s)] = np.nan
    return dataclasses.replace(capture, stretches=(dataclasses.replace(one, current=current, over_range=True),))


def test_a_window_with_a_missing_sample_gives_nothing_and_the_mean_is_withheld() -> None:
    capture = synth.periodic(dut(Mode.ALWAYS_ON), Bench(), np.random.default_rng(1), rate=10, events=8)
    broken = with_nan(capture, 0.303)
    result = analyse_capture(broken)
    assert get(result, "energy_per_inference.gross").n == 7
    assert "gap" in get(result, "energy_per_inference.gross").flags
    assert get(result, "power.mean").value is None
    assert get(result, "power.mean").flags[0] == "gap"
    allowed = get(analyse_capture(dataclasses.replace(broken, allow_gaps=True)), "power.mean")
    assert allowed.value is not None
    assert "gap" in allowed.flags


def test_a_floor_with_a_gap_is_withheld_unless_allowed() -> None:
    capture = with_nan(synth.floor(dut(Mode.EVENT_SLEEP), Bench(), np.random.default_rng(1)), 1.01)
    assert get(analyse_capture(capture), "power.floor").value is None
    allowed = get(analyse_capture(dataclasses.replace(capture, allow_gaps=True)), "power.floor")
    assert allowed.n == 98
    assert "gap" in allowed.flags


def test_a_negative_floor_is_not_clipped_and_back_feed_is_named() -> None:
    board = dataclasses.replace(dut(Mode.EVENT_SLEEP), rest_a=-2e-6)
    result = analyse_capture(synth.floor(board, Bench(), np.random.default_rng(1)))
    assert value(result, "power.floor") < 0
    assert "back_feed" not in get(result, "power.floor").flags
    fed = analyse_capture(synth.floor(dataclasses.replace(board, rest_a=-60e-6), Bench(), np.random.default_rng(1)))
    assert "back_feed" in get(fed, "power.floor").flags
    assert any("back_feed" in p for p in fed.problems)


def test_a_missing_event_is_named_and_withholds_what_counts_events() -> None:
    capture = synth.periodic(dut(Mode.EVENT_SLEEP), Bench(), np.random.default_rng(1), rate=10, events=7)
    result = analyse_capture(dataclasses.replace(capture, expected_events=8))
    assert any("7 of 8" in p for p in result.problems)
    assert get(result, "energy_per_inference.at_rate").value is None
    assert "events missing" in get(result, "energy_per_inference.gross").flags


def test_events_that_leave_no_rest_are_named() -> None:
    board = dut(Mode.EVENT_SLEEP)
    result = analyse_capture(synth.periodic(board, Bench(), np.random.default_rng(1), rate=0.999 / board.on_s, events=12))
    assert get(result, "energy_per_inference.net_of_sleep").value is None
    assert result.problems or "no quiet gap" in get(result, "energy_per_inference.net_of_sleep").flags[0]


def test_back_to_back_inferences_have_no_guard_but_a_mean() -> None:
    board = dut(Mode.ALWAYS_ON)
    result = analyse_capture(
        synth.periodic(board, Bench(), np.random.default_rng(1), rate=0.97 / board.infer_s, events=40, style=MarkStyle.GATE)
    )
    assert get(result, "energy_per_inference.gross").flags[0] == "no quiet gap between events"
    assert value(result, "power.mean") == pytest.approx(board.mean_w(0.97 / board.infer_s), rel=5e-3)


def test_a_capture_without_any_event_says_so() -> None:
    capture = synth.floor(dut(Mode.EVENT_SLEEP), Bench(), np.random.default_rng(1))
    result = analyse_capture(dataclasses.replace(capture, role=Role.MEAN, expected_events=5))
    assert any("0 of 5" in p for p in result.problems)
    assert all(r.value is None for r in result.records)


def test_a_second_sleep_state_after_the_burst_is_flagged() -> None:
    board = dut(Mode.EVENT_SLEEP)
    rng = np.random.default_rng(1)
    capture = synth.periodic(board, Bench(), rng, rate=5, events=16)
    one = capture.stretches[0]
    extra = np.zeros(len(one.current), dtype=np.float32)
    for k in range(16):
        end = (k + 1) / 5 + board.on_s
        extra[int(end / one.dt_s) + 1 : int((end + 15e-3) / one.dt_s)] = 35e-6
    slow = dataclasses.replace(one, current=one.current + extra)
    result = analyse_capture(dataclasses.replace(capture, stretches=(slow,)))
    assert "quiet level not settled" in get(result, "energy_per_inference.net_of_sleep").flags
    assert "quiet level not settled" not in get(analyse_capture(capture), "energy_per_inference.net_of_sleep").flags


def test_drift_is_flagged() -> None:
    capture = synth.floor(dut(Mode.EVENT_SLEEP), Bench(), np.random.default_rng(1))
    one = capture.stretches[0]
    ramp = np.linspace(0, 5e-6, len(one.current)).astype(np.float32)
    drifting = dataclasses.replace(capture, stretches=(dataclasses.replace(one, current=one.current + ramp),))
    assert "drift" in get(analyse_capture(drifting), "power.floor").flags
    assert "drift" not in get(analyse_capture(capture), "power.floor").flags


def test_hum_is_averaged_out_of_a_floor() -> None:
    board = dut(Mode.EVENT_SLEEP)
    result = analyse_capture(synth.floor(board, Bench(hum_a=20e-6), np.random.default_rng(1)))
    assert value(result, "power.floor") == pytest.approx(board.volt * board.rest_a, abs=1e-6)


@pytest.mark.parametrize("mode", [Mode.ALWAYS_ON, Mode.EVENT_SLEEP])
def test_hum_that_is_locked_to_the_events_is_taken_off(mode: Mode) -> None:
    board = dut(mode, **STEADY)
    kind = "net_of_sleep" if mode.is_event else "net_of_idle"
    errors = {True: [], False: []}  # type: dict[bool, list[float]]
    for seed in range(12):
        capture = synth.periodic(board, Bench(hum_a=40e-6), np.random.default_rng(seed), rate=10, events=12)
        for taken in (True, False):
            result = analyse_capture(dataclasses.replace(capture, mains_hz=50.0 if taken else 0.0))
            errors[taken].append(value(result, f"energy_per_inference.{kind}") / board.truth[kind] - 1)
    assert np.std(errors[True]) < 0.35 * np.std(errors[False])
    assert get(analyse_capture(capture), f"energy_per_inference.{kind}").note == "mains hum taken off"
    still = analyse_capture(synth.periodic(board, Bench(), np.random.default_rng(1), rate=10, events=12))
    assert get(still, f"energy_per_inference.{kind}").note == ""


@pytest.mark.parametrize(("dt", "actual"), [(204.8e-6, 120e-6), (20e-6, 50e-6)])
def test_a_wrong_time_constant_is_seen_in_the_trace(dt: float, actual: float) -> None:
    flag = "time constant disagrees with the trace"
    board = dut(Mode.EVENT_SLEEP)
    for tau, expected in ((10e-6, False), (actual, True)):
        bench = Bench(dt_s=dt, tau_s=tau)
        result = analyse_capture(synth.triggered(board, bench, np.random.default_rng(1), events=10))
        assert (flag in get(result, "phase_energy.infer").flags) == expected
        assert flag not in get(result, "energy_per_inference.net_of_sleep").flags


def test_peak_power_is_a_boxcar_without_the_bias_of_a_largest_value() -> None:
    board = dut(Mode.ALWAYS_ON, **STEADY)
    bench = dataclasses.replace(Bench(), noise_a=1e-4)
    errors = []
    for seed in range(30):
        capture = synth.periodic(board, bench, np.random.default_rng(seed), rate=20, events=12)
        errors.append(value(analyse_capture(dataclasses.replace(capture, peak_tau_s=(2e-3,))), "power.peak[2ms]") - 0.036)
    box_w = 3 * 1e-4 / math.sqrt(2e-3 / bench.dt_s)
    assert abs(np.mean(errors)) < 0.35 * box_w, "uncorrected it would be 2.7"
    note = get(analyse_capture(dataclasses.replace(capture, peak_tau_s=(2e-3,))), "power.peak[2ms]").note
    dt_s, tau_s = capture.stretches[0].dt_s, capture.meter.time_constant_s
    assert f"seen with about {1 / math.hypot(dt_s / 0.443, 2 * math.pi * tau_s):.3g} Hz (-3 dB)" in note
    short = dataclasses.replace(capture, peak_tau_s=(1e-4,))
    assert get(analyse_capture(short), "power.peak[100us]").flags[0] == "not resolved"


def test_a_two_wire_lead_is_corrected_and_budgeted() -> None:
    meter = dataclasses.replace(Bench().terms, lead_ohm=0.5, u_lead_ohm=0.05)
    board = dut(Mode.ALWAYS_ON, **STEADY)
    result = analyse_capture(synth.periodic(board, dataclasses.replace(QUIET, terms=meter), np.random.default_rng(1), rate=5, events=6))
    lost = 0.5 * 12e-3**2 * board.infer_s
    assert value(result, "energy_per_inference.gross") == pytest.approx(board.truth["gross"] - lost, rel=1e-4)
    line = next(x for x in get(result, "energy_per_inference.gross").budget if x.name == "smu:lead")
    assert abs(line.u) == pytest.approx(0.05 * 12e-3**2 * board.infer_s, rel=0.01)


@pytest.mark.parametrize("kpi", ["power.mean", "energy_per_inference.at_rate", "power.sleep", "energy_per_inference.per_event"])
def test_what_flows_past_the_board_is_subtracted_and_the_rest_budgeted(kpi: str) -> None:
    board, rng = dut(Mode.EVENT_SLEEP, **STEADY), np.random.default_rng(3)
    capture = synth.periodic(board, QUIET, rng, rate=10, events=6)
    leak = 2e-6
    read = tuple(dataclasses.replace(s, current=s.current + np.float32(leak)) for s in capture.stretches)
    meter = dataclasses.replace(capture.meter, fixture_leakage_mean_a=leak, fixture_leakage_a=1e-7)
    corrected = get(analyse_capture(dataclasses.replace(capture, stretches=read, meter=meter)), kpi)
    clean = get(analyse_capture(capture), kpi)
    assert corrected.value == pytest.approx(clean.value, rel=1e-6)
    assert clean.u is not None
    assert corrected.u is not None
    (line,) = (line for line in corrected.budget if line.name == "smu:leakage")
    if kpi == "power.sleep":
        assert line.u == pytest.approx(3.0 * 1e-7 / math.sqrt(3), rel=1e-6)


def test_charge_is_without_what_flows_past_the_board_and_the_naive_estimate_too() -> None:
    board, rng = dut(Mode.ALWAYS_ON, **STEADY), np.random.default_rng(3)
    capture = synth.periodic(board, QUIET, rng, rate=10, events=6, style=MarkStyle.GATE)
    leak = 1e-4
    meter = dataclasses.replace(capture.meter, fixture_leakage_mean_a=leak)
    leaky = dataclasses.replace(capture, meter=meter)
    charge = [value(analyse_capture(c), "charge_per_inference") for c in (capture, leaky)]
    assert charge[0] - charge[1] == pytest.approx(leak * board.infer_s, rel=1e-4)
    naive = [edge_gated(c).value for c in (capture, leaky)]
    assert naive[0] is not None
    assert naive[1] is not None
    assert naive[0] - naive[1] == pytest.approx(3.0 * leak * board.infer_s, rel=0.05)


def test_windows_lie_on_the_stretchs_axis_with_their_phases() -> None:
    board = dut(Mode.EVENT_RELOAD, **STEADY)
    result = analyse_capture(synth.triggered(board, dataclasses.replace(QUIET, dt_s=20e-6), np.random.default_rng(2), events=3))
    first = [w for w in result.windows if w.event == 0]
    assert [w.phase for w in first] == [Phase.WAKE, Phase.LOAD, Phase.WAKE, Phase.INFER, Phase.TAIL]
    infer = first[3]
    assert infer.start_s == pytest.approx(board.wake_s + board.load_s + board.ready_s, abs=1e-6)
    assert infer.length_s == pytest.approx(board.infer_s, abs=1e-6)


def test_the_same_capture_gives_the_same_bits() -> None:
    capture = synth.periodic(dut(Mode.EVENT_SLEEP), Bench(), np.random.default_rng(1), rate=10, events=6)
    assert analyse_capture(capture).records == analyse_capture(capture).records


def test_another_seed_moves_the_interval_but_not_the_value() -> None:
    capture = synth.periodic(dut(Mode.ALWAYS_ON), Bench(), np.random.default_rng(1), rate=10, events=6)
    a, b = (get(analyse_capture(dataclasses.replace(capture, seed=s)), "energy_per_inference.gross") for s in (1, 2))
    assert a.value == b.value
    assert a.u == b.u
    assert a.low != b.low


def test_flags_of_the_meter_go_into_every_record() -> None:
    meter = dataclasses.replace(Bench().terms, flags=("cold",))
    result = analyse_capture(synth.periodic(dut(Mode.ALWAYS_ON), Bench(terms=meter), np.random.default_rng(1), rate=10, events=6))
    assert all("cold" in r.flags for r in result.records)


def test_captures_that_cannot_be_are_refused() -> None:
    capture = synth.floor(dut(Mode.EVENT_SLEEP), Bench(), np.random.default_rng(1))
    with pytest.raises(ValueError, match="no records"):
        dataclasses.replace(capture, stretches=())
    with pytest.raises(ValueError, match="ascending"):
        MeterTerms("smu", (RangeTerm(0.1, 0, 0), RangeTerm(0.01, 0, 0)), 0, 0, 0)
