from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest
from scipy import stats

from labd.kpi.break_even import ModeLine, break_even, fieller
from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.draws import Draws
from labd.kpi.inputs import AnalyzerReadings, Battery, Detector, RangeTerm
from labd.kpi.least_squares import NOT_LINEAR
from labd.kpi.mode_fit import COMPOSED
from labd.kpi.rate_model import Line, NeedsRateZeroError, fit_line
from labd.kpi.sweep import SweepResult, analyse_sweep
from labd.kpi.terms import Terms, Uncertain
from labd.records import KpiRecord, Mode, OperatingPoint
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

RATES = (2.0, 8.0, 20.0)


def boards() -> dict[Mode, Dut]:
    return {
        Mode.ALWAYS_ON: Dut(mode=Mode.ALWAYS_ON, rest_a=0.4e-3),
        Mode.EVENT_SLEEP: Dut(mode=Mode.EVENT_SLEEP, rest_a=60e-6),
        Mode.EVENT_RELOAD: Dut(mode=Mode.EVENT_RELOAD, rest_a=6e-6),
    }


def slope(dut: Dut) -> float:
    return dut.burst_j - dut.volt * dut.rest_a * dut.on_s


def run(bench: Bench, seed: int = 3, *, events: int = 8, with_events: bool = True) -> list[CaptureResult]:
    rng = np.random.default_rng(seed)
    out = []
    for mode, dut in boards().items():
        out.append(analyse_capture(synth.floor(dut, bench, rng, key=f"{mode}-floor")))
        out += [analyse_capture(synth.periodic(dut, bench, rng, rate=r, events=events, key=f"{mode}-{r:g}")) for r in RATES]
        if with_events:
            fine = dataclasses.replace(bench, dt_s=20e-6)
            out.append(analyse_capture(synth.triggered(dut, fine, rng, events=8, key=f"{mode}-event")))
    return out


@pytest.fixture(scope="module")
def results() -> list[CaptureResult]:
    return run(Bench(errors={"gain": 0.9, "offset": -0.8, "v_gain": 0.7, "v_offset": 0.5, "timebase": -0.6}))


@pytest.fixture(scope="module")
def sweep(results: list[CaptureResult]) -> SweepResult:
    battery = Battery(0.225, 3.0, 0.85, 0.05, 0.01, (0.1, 1.0, 30.0))
    return analyse_sweep(results, detector=Detector(), battery=battery, seed=5)


def get(sweep: SweepResult, kpi: str, at: str) -> KpiRecord:
    return next(r for r in sweep.records if r.id == kpi and r.at == at)


def holds(record: KpiRecord, truth: float) -> bool:
    assert record.low is not None, record
    assert record.high is not None
    return record.low <= truth <= record.high


@pytest.mark.parametrize("mode", list(boards()))
def test_floor_and_incremental_energy_hold_the_truth(sweep: SweepResult, mode: Mode) -> None:
    dut = boards()[mode]
    assert holds(get(sweep, "fit.floor_power", mode), dut.volt * dut.rest_a)
    assert holds(get(sweep, "fit.incremental_energy", mode), slope(dut))
    assert get(sweep, "fit.chi2_per_dof", mode).n == 2


@pytest.mark.parametrize(("first", "second"), [(Mode.ALWAYS_ON, Mode.EVENT_SLEEP), (Mode.ALWAYS_ON, Mode.EVENT_RELOAD)])
def test_break_even_holds_the_truth(sweep: SweepResult, first: Mode, second: Mode) -> None:
    a, b = boards()[first], boards()[second]
    truth = a.volt * (a.rest_a - b.rest_a) / (slope(b) - slope(a))
    record = get(sweep, "break_even_rate", f"{first}|{second}")
    assert holds(record, truth)
    assert record.method == "Fieller"
    assert "none: host-triggered" in record.note


def test_the_gain_weighs_in_the_energies_but_not_in_the_break_even(sweep: SweepResult) -> None:
    name = "smu:current[0.1 A].gain"
    energy = get(sweep, "fit.incremental_energy", Mode.EVENT_SLEEP)
    ratio = get(sweep, "break_even_rate", f"{Mode.ALWAYS_ON}|{Mode.EVENT_SLEEP}")
    share = []
    for record in (energy, ratio):
        assert record.value is not None
        share.append(next((abs(line.u) for line in record.budget if line.name == name), 0.0) / record.value)
    assert share[0] == pytest.approx(250e-6 / math.sqrt(3), rel=0.02)
    assert share[1] < 1e-9


def test_closures_agree_for_a_board_that_the_model_knows(sweep: SweepResult) -> None:
    for mode in boards():
        assert holds(get(sweep, "closure.slope_vs_window", mode), 0.0)
    assert holds(get(sweep, "closure.phases_vs_event", Mode.EVENT_RELOAD), 0.0)
    assert sweep.problems == ()


def test_a_window_energy_that_is_wrong_is_named(results: list[CaptureResult]) -> None:
    dut = dataclasses.replace(boards()[Mode.EVENT_SLEEP], infer_a=12.5e-3)
    fine = dataclasses.replace(Bench(), dt_s=20e-6)
    other = analyse_capture(synth.triggered(dut, fine, np.random.default_rng(1), events=8, key="event_sleep-event"))
    mixed = [other if r.key == other.key else r for r in results]
    found = analyse_sweep(mixed, detector=Detector(), battery=None, seed=1)
    assert "disagree" in get(found, "closure.slope_vs_window", Mode.EVENT_SLEEP).flags
    assert any("closure.slope_vs_window at event_sleep" in p for p in found.problems)


def test_results_that_went_through_another_process_join_by_name(results: list[CaptureResult], sweep: SweepResult) -> None:
    copies = [pickle.loads(pickle.dumps(r)) for r in results]
    battery = Battery(0.225, 3.0, 0.85, 0.05, 0.01, (0.1, 1.0, 30.0))
    assert analyse_sweep(copies, detector=Detector(), battery=battery, seed=5).records == sweep.records


def test_battery_life_is_marked_where_it_is_extrapolated(sweep: SweepResult) -> None:
    dut = boards()[Mode.EVENT_SLEEP]
    record = get(sweep, "battery_life", "event_sleep/r=1")
    energy = 0.225 * 3600 * 3.0
    leak = energy * 0.01 / (365.25 * 86400)
    assert holds(record, 0.85 * energy / (dut.mean_w(1.0) + 0.85 * leak))
    assert "extrapolated" in get(sweep, "battery_life", "event_sleep/r=30").flags
    assert "extrapolated" not in record.flags


@pytest.mark.parametrize(
    ("declared", "term"),
    [
        ({"usable_half_width": 0.085}, "battery:usable"),
        ({"capacity_half_width_ah": 0.0225}, "battery:capacity"),
        ({"voltage_half_width_v": 0.3}, "battery:voltage"),
    ],
)
def test_what_a_battery_holds_is_as_uncertain_as_declared(results: list[CaptureResult], declared: dict[str, float], term: str) -> None:
    exact = Battery(0.225, 3.0, 0.85, rates_hz=(1.0,))
    lives = [
        get(analyse_sweep(results, detector=Detector(), battery=battery, seed=5), "battery_life", "event_sleep/r=1")
        for battery in (exact, dataclasses.replace(exact, **declared))  # type: ignore[arg-type]
    ]
    for life in lives:
        assert life.value is not None
        assert life.low is not None
        assert life.high is not None
    assert lives[0].value == lives[1].value
    (line,) = (line for line in lives[1].budget if line.name == term)
    assert abs(line.u) == pytest.approx(0.1 * (lives[1].value or 0.0) / math.sqrt(3), rel=1e-6)
    assert (lives[1].high or 0.0) - (lives[1].low or 0.0) > 0.18 * (lives[1].value or 0.0)  # 95 % of a rectangle of +-10 %
    assert all(line.name != term for line in lives[0].budget)


def test_an_uncertain_self_discharge_counts_where_the_board_needs_little(results: list[CaptureResult]) -> None:
    battery = Battery(225.0, 3.0, 0.85, 0.0, 0.02, (1e-4,), self_discharge_half_width_per_year=0.01)
    life = get(analyse_sweep(results, detector=Detector(), battery=battery, seed=5), "battery_life", "event_sleep/r=0.0001")
    assert any(line.name == "battery:self_discharge" for line in life.budget)


def test_battery_life_is_a_lower_bound_where_the_power_may_be_zero(sweep: SweepResult) -> None:
    record = get(sweep, "battery_life", "event_reload/r=0.1")
    assert record.value is not None, "0.1 events a second are well above the offset"
    none = analyse_sweep(run(Bench(), with_events=False), detector=Detector(), battery=Battery(0.2, 3.0, rates_hz=(1e-4,)), seed=1)
    bound = get(none, "battery_life", "event_reload/r=0.0001")
    assert bound.value is None
    assert bound.high is None
    assert bound.low is not None
    assert bound.flags[0].startswith("> ")


def test_without_rate_zero_the_fit_is_refused(results: list[CaptureResult]) -> None:
    found = analyse_sweep([r for r in results if "floor" not in r.key], detector=Detector(), battery=None, seed=1)
    record = get(found, "fit.floor_power", Mode.ALWAYS_ON)
    assert record.value is None
    assert record.flags == ("needs rate 0",)
    with pytest.raises(NeedsRateZeroError):
        fit_line([1.0, 2.0], [random(1.0, 0.1), random(2.0, 0.1)])


def test_a_fixed_range_that_cannot_see_the_floor_is_composed_with_a_floor_that_can() -> None:
    low = dataclasses.replace(Bench().terms, current=(RangeTerm(1e-3, 250e-6, 1e-7),))
    rng = np.random.default_rng(2)
    dut = boards()[Mode.EVENT_SLEEP]
    floor = analyse_capture(synth.floor(dut, Bench(terms=low, noise_a=1e-7), rng, key="floor"))
    means = [analyse_capture(synth.periodic(dut, Bench(errors={"offset": 1.0}), rng, rate=r, events=10, key=f"m{r}")) for r in RATES]
    found = analyse_sweep([floor, *means], detector=Detector(), battery=None, seed=1)
    record = get(found, "fit.floor_power", Mode.EVENT_SLEEP)
    assert COMPOSED in record.flags
    assert record.u is not None
    assert record.u < 1e-6, "30 uW of offset in the high range do not reach it"
    assert holds(record, dut.volt * dut.rest_a)
    assert holds(get(found, "fit.incremental_energy", Mode.EVENT_SLEEP), slope(dut))


def test_operating_points_that_differ_in_more_than_mode_and_rate_are_told_apart(results: list[CaptureResult]) -> None:
    other = [dataclasses.replace(r, key=r.key + "b", point=dataclasses.replace(r.point, model="snn")) for r in results]
    found = analyse_sweep([*results, *other], detector=Detector(), battery=None, seed=1)
    assert {f.at for f in found.fits} >= {"event_sleep/v=3/dnn", "event_sleep/v=3/snn"}
    assert get(found, "break_even_rate", "always_on|event_sleep/v=3/snn").value is not None


counter = iter(range(10**9))


def random(value: float, u: float, dof: float = 1e6) -> Uncertain:
    return value + Terms().random(f"A:{next(counter)}", u, dof=dof)


def exact(value: float) -> Uncertain:
    return random(value, 1e-12)


def line(floor: Uncertain, incremental: Uncertain) -> Line:
    return Line(floor, incremental, None, 0, ())


def pair(n: float, d: float, u: float = 1e-9, r_max: float | None = 40.0) -> tuple[ModeLine, ModeLine]:
    first = ModeLine(Mode.ALWAYS_ON, line(random(n, u), random(1e-4, u)), r_max, 30.0)
    return first, ModeLine(Mode.EVENT_SLEEP, line(random(0.0, u), random(1e-4 + d, u)), r_max, 30.0)


def solved(
    n: float, d: float, *, u: float = 1e-9, r_max: float | None = 40.0, detector: Detector | None = None
) -> tuple[float | None, str]:
    first, second = pair(n, d, u, r_max)
    found = break_even(first, second, detector=detector or Detector(), terms=Terms(), draws=Draws(1, "t"))
    return found.value, found.flags[0] if found.flags else ""


def test_a_line_that_is_exact_is_found_exactly() -> None:
    rates = [0.0, 1.0, 4.0, 9.0]
    found = fit_line(rates, [random(2e-5 + 3e-4 * r, 1e-8) for r in rates])
    assert found.floor.nominal_value == pytest.approx(2e-5, rel=1e-9)
    assert found.slope.nominal_value == pytest.approx(3e-4, rel=1e-9)


def test_the_fit_is_that_of_weighted_least_squares() -> None:
    rng = np.random.default_rng(1)
    rates = np.array([0.0, 0.5, 2.0, 10.0, 30.0])
    u = np.array([1e-8, 3e-7, 1e-6, 4e-6, 1e-5])
    y = 1e-5 + 3e-4 * rates + u * rng.standard_normal(5)
    found = fit_line(rates.tolist(), [random(v, s) for v, s in zip(y.tolist(), u.tolist(), strict=True)])
    coefficients, covariance = np.polyfit(rates, y, 1, w=1 / u, cov="unscaled")
    assert found.slope.nominal_value == pytest.approx(coefficients[0], rel=1e-9)
    assert found.floor.nominal_value == pytest.approx(coefficients[1], rel=1e-7)
    assert found.slope.std_dev == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-6)
    assert found.chi2_per_dof == pytest.approx(float(np.sum(((y - np.polyval(coefficients, rates)) / u) ** 2)) / 3, rel=1e-4)


def test_a_curve_is_called_not_linear_and_its_scatter_is_taken_at_its_word() -> None:
    rates = [0.0, 1.0, 4.0, 9.0, 20.0]
    found = fit_line(rates, [random(2e-5 + 3e-4 * r + 2e-6 * r * r, 1e-7) for r in rates])
    straight = fit_line(rates, [random(2e-5 + 3e-4 * r, 1e-7) for r in rates])
    assert NOT_LINEAR in found.flags
    assert found.slope.std_dev > 10 * straight.slope.std_dev
    assert straight.flags == ()


def test_an_offset_that_only_some_points_share_is_no_lack_of_fit() -> None:
    terms = Terms()
    offset = terms.limit("offset", 3e-5)
    rates = [0.0, 1.0, 4.0, 9.0, 20.0]
    powers = [random(2e-5 + 3e-4 * r + (2e-5 if r else 0.0), 1e-7) + (offset if r else 0.0) for r in rates]
    assert fit_line(rates, powers).flags == ()


def test_fieller_agrees_with_its_definition() -> None:
    n, d = random(3e-3, 1e-4), random(1.2e-4, 6e-6)
    limits = fieller(n, d, factor=1.96)
    assert limits is not None
    for r in limits:
        assert abs(3e-3 - r * 1.2e-4) == pytest.approx(1.96 * math.hypot(1e-4, r * 6e-6), rel=1e-9)
    assert limits[1] - 25.0 > 25.0 - limits[0]


def test_break_even_is_bounded_or_unresolved_or_decided() -> None:
    assert solved(3e-3, 1.2e-4)[0] == pytest.approx(25.0, rel=1e-3)
    assert solved(3e-3, 1e-5, u=3e-5, r_max=None) == (None, "not resolved")
    assert solved(3e-3, -1e-4)[1] == "event-based wins at every reachable rate"
    assert solved(3e-3, 1e-5)[1] == "event-based wins at every reachable rate", "it would be at 300/s, the DUT reaches 40/s"
    assert solved(-3e-3, 1e-4)[1] == "event-based never wins"


def test_break_even_outside_the_measured_rates_is_extrapolated() -> None:
    assert solved(3e-3, 0.9e-4)[1] == "extrapolated"
    assert solved(3e-3, 1.2e-4)[1] == ""


def test_the_detector_moves_the_break_even() -> None:
    detector = Detector("declared", 1e-3, 1e-4, 2.0, 0.1)
    value, _ = solved(3e-3, 1.2e-4, detector=detector)
    assert value == pytest.approx((3e-3 - 1e-3 - 2.0 * 2.2e-4) / 1.2e-4, rel=1e-3)
    assert solved(3e-3, 1.2e-4, detector=Detector("declared", 4e-3))[1] == "event-based never wins"


def test_fieller_covers_the_break_even_and_the_fit_its_parameters() -> None:
    rng = np.random.default_rng(8)
    rates = np.array([0.0, 1.0, 5.0, 15.0, 30.0])
    lines = {Mode.ALWAYS_ON: (3.6e-3, 2.7e-4), Mode.EVENT_SLEEP: (2e-5, 3.9e-4)}
    truth = (3.6e-3 - 2e-5) / 1.2e-4
    hits = {"rate": 0, "slope": 0, "floor": 0}
    trials = 400
    for k in range(trials):
        terms, draws = Terms(), Draws(k, "mc", size=4000)
        gain, offset = terms.limit("gain", 2e-3), terms.limit("offset", 3e-5)
        g, o = (rng.uniform(-1, 1) * s for s in (2e-3, 3e-5))
        fits = {}
        for mode, (a, b) in lines.items():
            powers = []
            for r in rates.tolist():
                p, n = a + b * r, 20
                u = p * 0.03 / math.sqrt(n)
                seen = u * math.sqrt(rng.chisquare(n - 1) / (n - 1))
                value = p * (1 - g) - o + u * rng.standard_normal()
                powers.append(value * (1 + gain) + offset + terms.random(f"A:{mode}{r}", seen, dof=n - 1.0))
            fits[mode] = ModeLine(mode, fit_line(rates.tolist(), powers), 45.0, 35.0)
        found = break_even(fits[Mode.ALWAYS_ON], fits[Mode.EVENT_SLEEP], detector=Detector(), terms=terms, draws=draws)
        hits["rate"] += found.low is not None and found.high is not None and found.low <= truth <= found.high
        event = fits[Mode.EVENT_SLEEP].line
        hits["slope"] += abs(event.slope.nominal_value - 3.9e-4) <= draws.half_width(event.slope)
        hits["floor"] += abs(event.floor.nominal_value - 2e-5) <= draws.half_width(event.floor)
    for name, count in hits.items():
        assert stats.binomtest(count, trials, 0.95).pvalue > 0.003, (name, count / trials)


def readings(power_w: float, spread_w: float, offset_w: float) -> AnalyzerReadings:
    dut = boards()[Mode.ALWAYS_ON]
    point = OperatingPoint(Mode.ALWAYS_ON, 20.0, dut.volt, "dnn")
    values = power_w + spread_w * np.random.default_rng(1).standard_normal(600)
    return AnalyzerReadings("wt", "wt310e", point, values, 1e-3, offset_w)


def test_the_power_analyzer_closes_or_is_not_informative(results: list[CaptureResult]) -> None:
    mean = boards()[Mode.ALWAYS_ON].mean_w(20.0)
    close = analyse_sweep(results, detector=Detector(), battery=None, seed=1, analyzer=[readings(mean, 1e-4, 1e-4)])
    assert holds(get(close, "closure.power_analyzer", "always_on/r=20/v=3/dnn"), 0.0)
    far = analyse_sweep(results, detector=Detector(), battery=None, seed=1, analyzer=[readings(1.2 * mean, 1e-4, 1e-4)])
    assert "disagree" in get(far, "closure.power_analyzer", "always_on/r=20/v=3/dnn").flags
    blind = analyse_sweep(results, detector=Detector(), battery=None, seed=1, analyzer=[readings(mean, 1e-4, 5e-3)])
    assert get(blind, "closure.power_analyzer", "always_on/r=20/v=3/dnn").flags[0] == "not informative"


@pytest.mark.parametrize("unknown", [{"gain": None}, {"offset_w": None}, {"u_correction_w": None}])
def test_a_difference_of_unknown_uncertainty_neither_agrees_nor_disagrees(
    results: list[CaptureResult], unknown: dict[str, float | None]
) -> None:
    mean = boards()[Mode.ALWAYS_ON].mean_w(20.0)
    far = dataclasses.replace(readings(1.2 * mean, 1e-4, 1e-4), **unknown)  # type: ignore[arg-type]
    found = analyse_sweep(results, detector=Detector(), battery=None, seed=1, analyzer=[far])
    closure = get(found, "closure.power_analyzer", "always_on/r=20/v=3/dnn")
    assert closure.value == pytest.approx(0.2 * mean, rel=0.05)
    assert (closure.u, closure.low) == (None, None)
    assert "instrument term unknown" in closure.flags
    assert "disagree" not in closure.flags
    assert not any("closure.power_analyzer" in problem for problem in found.problems)


@pytest.mark.parametrize("count", [0, 1])
def test_an_analyzer_without_readings_withholds_its_closure_and_nothing_else(results: list[CaptureResult], count: int) -> None:
    given = readings(1e-2, 1e-4, 1e-4)
    found = analyse_sweep(
        results, detector=Detector(), battery=None, seed=1, analyzer=[dataclasses.replace(given, power_w=given.power_w[:count])]
    )
    closure = get(found, "closure.power_analyzer", "always_on/r=20/v=3/dnn")
    assert (closure.value, closure.n, closure.flags[0]) == (None, count, "needs 2 readings of power or more")
