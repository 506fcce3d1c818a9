"""Sweeps of clock and supply: what is told apart is what the board was made of, within its interval, and what cannot be is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.clock_sweep import NO_TIME
from labd.kpi.inputs import CaptureInput, Detector
from labd.kpi.supply_sweep import NO_POWER, NOT_CV2
from labd.kpi.sweep import STATIC_AND_CLOCKS, SweepResult, analyse_sweep
from labd.kpi.swept import TWO_VALUES
from labd.kpi.terms import unknown_terms
from labd.records import CLOCK, KpiRecord, Mode
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut, draw_errors

CYCLES = 400_000.0
RATES = (2.0, 8.0)
VOLTS, CLOCKS = (1.2, 1.5, 1.8), (12e6, 24e6, 48e6)


@dataclasses.dataclass(frozen=True)
class Core:
    """At 1.8 V and 48 MHz: a current that does not follow the clock and one that does, at rest and while inferring; both go with the
    supply, so that powers go with its square."""

    rest_a: float = 0.3e-3
    rest_clocked_a: float = 0.9e-3
    infer_a: float = 1.2e-3
    infer_clocked_a: float = 4.8e-3

    def dut(self, volt: float, hz: float, mode: Mode = Mode.ALWAYS_ON) -> Dut:
        v, f = volt / 1.8, hz / 48e6
        infer_a = v * (self.infer_a + self.infer_clocked_a * f)
        return Dut(mode, volt=volt, rest_a=v * (self.rest_a + self.rest_clocked_a * f), infer_a=infer_a, infer_s=CYCLES / hz)

    def static_rest_w(self, volt: float) -> float:
        return volt**2 / 1.8 * self.rest_a

    def static_active_w(self, volt: float) -> float:
        return volt**2 / 1.8 * self.infer_a

    @property
    def capacitance_f(self) -> float:
        """Switched by an inference: E = V^2 / 1.8 I N / 48 MHz."""
        return self.infer_clocked_a * CYCLES / 48e6 / 1.8


def at_clock(capture: CaptureInput, hz: float | None) -> CaptureInput:
    settings = {} if hz is None else {CLOCK: f"{hz:.0f}"}
    return dataclasses.replace(capture, point=dataclasses.replace(capture.point, settings=settings))


def captures(
    core: Core, bench: Bench, seed: int, *, volts: Sequence[float] = VOLTS, clocks: Sequence[float] = CLOCKS
) -> list[CaptureResult]:
    rng, found = np.random.default_rng(seed), []
    for volt in volts:
        for hz in clocks:
            dut, name = core.dut(volt, hz), f"{volt:g}-{hz:g}"
            made = [synth.floor(dut, bench, rng, length_s=1.0, key=f"{name}-floor-{k}") for k in range(2)]
            made += [synth.periodic(dut, bench, rng, rate=r, events=12, key=f"{name}-{r:g}") for r in RATES]
            found += [analyse_capture(at_clock(one, hz)) for one in made]
    return found


def sweep(results: Sequence[CaptureResult], rates: Sequence[float] = RATES) -> SweepResult:
    return analyse_sweep(results, detector=Detector(), battery=None, seed=4, rates_hz=rates)


def get(found: SweepResult, kpi: str, at: str) -> KpiRecord:
    (record,) = (r for r in found.records if (r.id, r.at) == (kpi, at))
    return record


def off_by(record: KpiRecord, truth: float) -> float:
    """In half-widths of the 95 % interval."""
    assert record.value is not None, record.flags
    assert record.high is not None
    assert record.low is not None
    return abs(record.value - truth) / ((record.high - record.low) / 2)


def truths(core: Core) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for v in VOLTS:
        at = f"always_on/v={v:g}/dnn"
        found["clock_sweep.static_power.rest", at] = core.static_rest_w(v)
        found["clock_sweep.energy_per_cycle.rest", at] = v**2 / 1.8 * core.rest_clocked_a / 48e6
        found["clock_sweep.static_power.active", at] = core.static_active_w(v)
        found["clock_sweep.energy_per_cycle.active", at] = v**2 / 1.8 * core.infer_clocked_a / 48e6
        found["clock_sweep.dynamic_energy", at] = core.capacitance_f * v**2
    found["supply_sweep.capacitance", "always_on/dnn"] = core.capacitance_f
    found |= {(f"supply_sweep.exponent.{name}", "always_on/dnn"): 2.0 for name in ("energy", "static_rest", "static_active")}
    for hz in CLOCKS:
        at, dut = f"always_on/dnn/clock={hz:.0f}", core.dut(1.8, hz)
        above = 1.8 * (dut.infer_a - dut.rest_a) * dut.infer_s
        found["supply_sweep.capacitance", at] = above / 1.8**2
        found |= {(f"supply_sweep.exponent.{name}", at): 2.0 for name in ("energy", "floor")}
        for rate in RATES:
            at = f"always_on/r={rate:g}/v=1.8/dnn/clock={hz:.0f}"
            found["static_share.rest", at] = core.static_rest_w(1.8) / dut.mean_w(rate)
            static = core.static_rest_w(1.8) + rate * dut.infer_s * (core.static_active_w(1.8) - core.static_rest_w(1.8))
            found["static_share.all", at] = static / dut.mean_w(rate)
    return found


def test_every_part_lies_within_its_interval_as_often_as_that_says() -> None:
    core, distances = Core(), []
    for seed in range(5):
        bench = Bench(errors=draw_errors(np.random.default_rng(seed)))
        found = sweep(captures(core, bench, seed))
        distances += [off_by(get(found, kpi, at), truth) for (kpi, at), truth in truths(core).items()]
    assert np.mean(np.array(distances) <= 1.0) >= 0.92
    assert max(distances) < 2.5


@pytest.fixture(scope="module")
def swept() -> SweepResult:
    return sweep(captures(Core(), Bench(errors={"gain": 0.9, "v_gain": 0.8, "offset": 0.7}), 3))


def test_intervals_are_narrow_enough_to_say_something(swept: SweepResult) -> None:
    for kpi, at, share in (
        ("clock_sweep.dynamic_energy", "always_on/v=1.8/dnn", 0.03),
        ("clock_sweep.static_power.active", "always_on/v=1.8/dnn", 0.1),
        ("supply_sweep.capacitance", "always_on/dnn", 0.03),
    ):
        record = get(swept, kpi, at)
        assert record.value is not None
        assert record.high is not None
        assert record.high - record.value < share * record.value


def test_errors_that_all_points_share_are_in_the_budget_and_not_averaged_away(swept: SweepResult) -> None:
    """0.025 % of gain: one number for three clocks, so no fit takes any of it away."""
    record = get(swept, "clock_sweep.energy_per_cycle.active", "always_on/v=1.8/dnn")
    (gain,) = (line for line in record.budget if line.name.endswith("A].gain"))
    assert record.value is not None
    assert abs(gain.u) == pytest.approx(record.value * 250e-6 / np.sqrt(3), rel=0.05)


def test_a_gain_cancels_in_an_exponent(swept: SweepResult) -> None:
    record = get(swept, "supply_sweep.exponent.energy", "always_on/dnn")
    gains = [abs(line.u) for line in record.budget if line.name.endswith(".gain")]
    assert max(gains, default=0.0) < 1e-5


def test_behind_a_regulator_the_energy_does_not_go_with_the_square_and_this_is_said() -> None:
    rng, found, core = np.random.default_rng(2), [], Core()
    for volt in VOLTS:
        dut = dataclasses.replace(core.dut(1.8, 48e6), volt=volt)  # the same currents at any supply
        made = [synth.floor(dut, Bench(), rng, length_s=1.0, key=f"{volt}-f{k}") for k in range(2)]
        found += [
            analyse_capture(c) for c in (*made, *(synth.periodic(dut, Bench(), rng, rate=r, events=12, key=f"{volt}-{r}") for r in RATES))
        ]
    result = sweep(found)
    assert NOT_CV2 in get(result, "supply_sweep.capacitance", "always_on/dnn").flags
    exponent = get(result, "supply_sweep.exponent.energy", "always_on/dnn")
    assert off_by(exponent, 1.0) <= 1.0
    assert NO_POWER not in exponent.flags


def test_two_clocks_take_the_law_and_say_so() -> None:
    found = sweep(captures(Core(), Bench(), 1, volts=(1.8,), clocks=(12e6, 48e6)))
    record = get(found, "clock_sweep.static_power.active", "always_on/v=1.8/dnn")
    assert record.flags == (TWO_VALUES,)
    assert off_by(record, Core().static_active_w(1.8)) < 1.5
    assert get(found, "clock_sweep.chi2_per_dof.active", "always_on/v=1.8/dnn").flags[0] == "no spare points"


def test_a_core_whose_power_is_no_line_over_the_clock_is_told() -> None:
    """A clock at which a second supply is switched on."""
    made = captures(Core(), Bench(), 1, volts=(1.8,), clocks=CLOCKS[:2])
    odd = Core(infer_a=2.4e-3)
    found = sweep([*made, *captures(odd, Bench(), 2, volts=(1.8,), clocks=CLOCKS[2:])])
    assert "not linear" in get(found, "clock_sweep.static_power.active", "always_on/v=1.8/dnn").flags


def test_without_a_clock_sweep_the_floor_says_what_is_in_it_and_no_share_is_given() -> None:
    found = sweep(captures(Core(), Bench(), 1, volts=(1.8,), clocks=(48e6,)))
    assert STATIC_AND_CLOCKS in get(found, "fit.floor_power", "always_on").note
    assert not [r for r in found.records if r.id.startswith(("clock_sweep", "supply_sweep", "static_share"))]


def test_with_one_the_floor_is_told_apart_and_says_nothing(swept: SweepResult) -> None:
    assert not [r for r in swept.records if STATIC_AND_CLOCKS in r.note]


def test_what_needs_the_time_of_an_inference_is_withheld_where_no_capture_tells_it() -> None:
    made = captures(Core(), Bench(), 1, volts=(1.8,))
    blind = [dataclasses.replace(c, estimates={k: v for k, v in c.estimates.items() if not k.startswith("latency")}) for c in made]
    found = sweep(blind)
    assert get(found, "clock_sweep.dynamic_energy", "always_on/v=1.8/dnn").flags == (NO_TIME,)
    assert get(found, "clock_sweep.static_power.rest", "always_on/v=1.8/dnn").value is not None


def test_an_unknown_term_leaves_no_interval() -> None:
    terms = dataclasses.replace(Bench().terms, voltage_gain=None)
    found = sweep(captures(Core(), Bench(terms=terms), 1, volts=(1.8,)))
    record = get(found, "clock_sweep.dynamic_energy", "always_on/v=1.8/dnn")
    assert (record.u, record.low, record.high) == (None, None, None)
    assert "smu:voltage.gain" in record.note
    assert unknown_terms(0.0) == ()
