"""Do 95 % intervals hold the truth in 95 % of captures with errors drawn anew? Small and seeded; `make accuracy` does it at length."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import stats

from labd.kpi.capture import analyse_capture
from labd.kpi.edge_gated import edge_gated
from labd.kpi.inputs import RangeTerm
from labd.records import MarkStyle, Mode
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

TRIALS = 200


def count(make: object, truths: dict[str, float], seed: int) -> dict[str, int]:
    rng = np.random.default_rng(seed)
    hits = dict.fromkeys(truths, 0)
    for k in range(TRIALS):
        result = analyse_capture(make(rng, k))  # type: ignore[operator]
        for record in result.records:
            if record.id in truths:
                assert record.low is not None, record
                assert record.high is not None
                hits[record.id] += record.low <= truths[record.id] <= record.high
    return hits


def accept(hits: dict[str, int]) -> None:
    for kpi, n in hits.items():
        assert stats.binomtest(n, TRIALS, 0.95).pvalue > 0.004, (kpi, n / TRIALS)


def test_a_mean_capture_in_event_mode() -> None:
    dut = Dut(mode=Mode.EVENT_SLEEP, rest_a=30e-6)
    truths = {f"energy_per_inference.{kind}": value for kind, value in dut.truth.items()}
    truths |= {"power.mean": dut.mean_w(23.0), "energy_per_inference.at_rate": dut.mean_w(23.0) / 23.0, "power.sleep": 9e-5}
    accept(count(lambda rng, k: synth.periodic(dut, Bench(errors=synth.draw_errors(rng)), rng, rate=23, events=18, seed=k), truths, 21))


def test_a_mean_capture_in_always_on() -> None:
    dut = Dut(mode=Mode.ALWAYS_ON, rest_a=1.2e-3)
    truths = {f"energy_per_inference.{kind}": value for kind, value in dut.truth.items()}
    truths |= {"power.mean": dut.mean_w(37.0), "power.idle": 3.6e-3, "latency.pin.mean": dut.infer_s}
    truths["charge_per_inference"] = dut.infer_s * dut.infer_a
    accept(count(lambda rng, k: synth.periodic(dut, Bench(errors=synth.draw_errors(rng)), rng, rate=37, events=20, seed=k), truths, 22))


def test_a_floor() -> None:
    dut = Dut(mode=Mode.EVENT_RELOAD, rest_a=6e-6)
    terms = dataclasses.replace(Bench().terms, current=(RangeTerm(1e-3, 250e-6, 1e-7),))
    make = lambda rng, k: synth.floor(  # noqa: E731
        dut, Bench(terms=terms, noise_a=2e-6, hum_a=1e-6, errors=synth.draw_errors(rng)), rng, length_s=1.0, seed=k
    )
    accept(count(make, {"power.floor": 18e-6}, 23))


def test_the_edge_gated_estimate_fails_where_the_guarded_one_holds() -> None:
    dut = Dut(mode=Mode.ALWAYS_ON, rest_a=1.2e-3, dispersion=1e-3)
    terms = dataclasses.replace(Bench().terms, time_constant_s=60e-6)
    rng = np.random.default_rng(24)
    truth, naive, guarded = dut.truth["gross"], 0, 0
    for k in range(80):
        bench = Bench(tau_s=60e-6, terms=terms, errors=synth.draw_errors(rng))
        capture = synth.periodic(dut, bench, rng, rate=32.3, events=24, seed=k, style=MarkStyle.GATE)
        record = next(r for r in analyse_capture(capture).records if r.id == "energy_per_inference.gross")
        for which, found in (("naive", edge_gated(capture)), ("guarded", record)):
            assert found.low is not None
            assert found.high is not None
            inside = found.low <= truth <= found.high
            naive, guarded = naive + (inside and which == "naive"), guarded + (inside and which == "guarded")
    assert guarded >= 70
    assert naive <= 40


def test_triggered_captures_wake_up_and_split() -> None:
    dut = Dut(mode=Mode.EVENT_RELOAD, rest_a=30e-6)
    wake, load = dut.phase("wake")[0], dut.phase("load")[0]
    truths = {"wake_up.total": wake + load, "wake_up.load": load, "phase_energy.infer": dut.truth["gross"]}
    make = lambda rng, k: synth.triggered(  # noqa: E731
        dut, Bench(dt_s=40e-6, noise_a=2e-5, errors=synth.draw_errors(rng)), rng, events=16, seed=k
    )
    hits = count(make, truths, 25)
    for kpi, n in hits.items():
        assert 0.92 <= n / TRIALS <= 0.99, (kpi, n / TRIALS)
