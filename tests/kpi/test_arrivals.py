"""Random arrivals: the formula against a simulation that knows nothing of it, and the best time-out against the costs of others."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.kpi.arrivals import NO_READY, Costs
from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.inputs import Detector
from labd.kpi.sweep import SweepResult, analyse_sweep
from labd.kpi.terms import Terms
from labd.records import KpiRecord, Mode
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

SLEEP_W, TAIL_W, WAKE_W, INFER_W = 20e-6, 3e-3, 12e-3, 30e-3
WAKE_S, INFER_S = 2e-3, 4e-3


def costs(tail_s: float = 5e-3) -> Costs:
    """Of a board with these powers, without uncertainty."""
    none = Terms().random("none", 1e-18, dof=10.0)
    return Costs(
        sleep_w=SLEEP_W + none,
        tail_w=TAIL_W + none,
        waking_j=(WAKE_W - SLEEP_W) * WAKE_S + none,
        serving_j=(INFER_W - SLEEP_W) * INFER_S + none,
        serving_s=INFER_S + none,
        tail_s=tail_s + none,
        n=1,
        captures=(),
    )


def simulated_w(rate_hz: float, time_out_s: float, *, seed: int, events: int) -> float:
    """Mean power of a board that serves arrivals one after the other, by a queue of what happens next. It knows states and powers only."""
    rng, number = np.random.default_rng(seed), itertools.count()
    queue: list[tuple[float, int, str]] = [(float(rng.exponential(1 / rate_hz)), next(number), "arrival")]
    powers = {"sleep": SLEEP_W, "wake": WAKE_W, "infer": INFER_W, "tail": TAIL_W}
    state, waiting, came, last_s, energy_j, epoch = "sleep", 0, 0, 0.0, 0.0, 0
    while queue:
        now, key, what = heapq.heappop(queue)
        if what in ("time-out", "done") and key != epoch:
            continue  # of a state that was left
        energy_j += powers[state] * (now - last_s)
        last_s = now
        if what == "arrival":
            came += 1
            waiting += 1
            if came < events:
                heapq.heappush(queue, (now + float(rng.exponential(1 / rate_hz)), next(number), "arrival"))
            following = {"sleep": "wake", "tail": "infer"}.get(state, state)
        elif what == "time-out":
            following = "sleep"
        elif state == "wake":
            following = "infer"
        else:
            waiting -= 1
            following = "again" if waiting else "tail"
        if following != state:
            state, epoch = "infer" if following == "again" else following, next(number)
            lasts = {"wake": (WAKE_S, "done"), "infer": (INFER_S, "done"), "tail": (time_out_s, "time-out")}.get(state)
            if lasts is not None:
                heapq.heappush(queue, (now + lasts[0], epoch, lasts[1]))
    return energy_j / last_s


@pytest.mark.parametrize("rate_hz", [0.5, 2.0, 8.0])
@pytest.mark.parametrize("time_out_s", [0.0, 5e-3, 60e-3])
def test_mean_power_is_that_of_a_simulation_of_events(rate_hz: float, time_out_s: float) -> None:
    """Arrivals within an inference or a wake-up (2 % of them at 8 /s) wait in the simulation and not in the formula."""
    found = costs().power_at(rate_hz, time_out_s + Terms().random("none", 1e-18, dof=10.0)).nominal_value
    assert found == pytest.approx(simulated_w(rate_hz, time_out_s, seed=5, events=40_000), rel=0.025)


@given(st.floats(0.01, 50.0))
def test_of_poisson_arrivals_never_or_always_sleeping_is_best_and_the_best_time_out_says_which(rate_hz: float) -> None:
    board = costs()
    never, always = (board.power_at(rate_hz, seconds + 0 * board.tail_s).nominal_value for seconds in (1e6, 0.0))
    assert (never < always) == (rate_hz > 1 / board.best_time_out_s.nominal_value)
    between = board.power_at(rate_hz, board.best_time_out_s).nominal_value
    assert min(never, always) * (1 - 1e-9) <= between <= 2 * min(never, always)


@given(st.lists(st.floats(1e-4, 10.0), min_size=1, max_size=30), st.floats(0.2, 5.0))
def test_the_best_time_out_costs_at_most_twice_what_knowing_the_next_arrival_would(gaps: list[float], other: float) -> None:
    """Ski rental: whoever waits longer, or less long, has gaps that cost him more than twice."""
    board = costs()
    rent, buy = float((board.tail_w - board.sleep_w).nominal_value), float(board.waking_j.nominal_value)
    best = float(board.best_time_out_s.nominal_value)

    def cost(gap: float, time_out: float) -> float:
        return rent * min(gap, time_out) + (buy if gap > time_out else 0.0)

    assert all(cost(gap, best) <= 2 * min(rent * gap, buy) * (1 + 1e-9) for gap in gaps)
    if abs(other - 1) > 0.01:
        worst = math.nextafter(best * other, math.inf)
        assert cost(worst, best * other) > 2 * min(rent * worst, buy) or other > 1


DUT = Dut(Mode.EVENT_RELOAD, rest_a=6e-6)


def captures(bench: Bench, *, marked: bool = True) -> list[CaptureResult]:
    rng = np.random.default_rng(7)
    fine = dataclasses.replace(bench, dt_s=20e-6)
    made = [synth.floor(DUT, bench, rng, key=f"floor-{k}") for k in range(2)]
    made += [synth.periodic(DUT, bench, rng, rate=rate, events=12, key=f"mean-{rate:g}") for rate in (2.0, 8.0)]
    made.append(synth.triggered(DUT, fine, rng, events=16, key="event"))
    found = [analyse_capture(one) for one in made]
    if marked:
        return found
    return [dataclasses.replace(c, estimates={k: v for k, v in c.estimates.items() if not k.startswith("part_")}) for c in found]


def sweep(results: list[CaptureResult]) -> SweepResult:
    return analyse_sweep(results, detector=Detector(), battery=None, seed=6, rates_hz=(0.0, 2.0))


def get(found: SweepResult, kpi: str) -> KpiRecord:
    (record,) = (r for r in found.records if r.id == kpi)
    return record


def holds(record: KpiRecord, truth: float) -> bool:
    assert record.low is not None
    assert record.high is not None
    return record.low <= truth <= record.high


def test_the_time_out_of_a_measured_board_is_that_of_its_parts() -> None:
    """Waking until ready, with the load; what lies between ready and the inference a follow-up takes as well."""
    found = sweep(captures(Bench(errors={"gain": 0.8, "offset": -0.5, "v_gain": 0.6})))
    (wake_s, wake_a), (load_s, load_a), (_, tail_a) = (DUT.phase(name) for name in ("wake", "load", "tail"))
    waking_c = wake_s * (wake_a - DUT.rest_a) + load_s * (load_a - DUT.rest_a)
    record = get(found, "best_time_out")
    assert holds(record, waking_c / (tail_a - DUT.rest_a))
    assert record.value is not None
    assert record.high is not None
    assert record.high - record.value < 0.03 * record.value
    assert {line.kind for line in record.budget} == {"A", "B"}


def test_mean_power_at_random_is_given_at_every_rate_with_both_time_outs() -> None:
    found = sweep(captures(Bench()))
    measured, best = get(found, "poisson_power.as_measured"), get(found, "poisson_power.best_time_out")
    assert measured.at == best.at == "event_reload/r=2"
    volt, rate = DUT.volt, 2.0
    serving_s = DUT.ready_s + DUT.infer_s
    serving_j = volt * (DUT.ready_s * (DUT.wake_a - DUT.rest_a) + DUT.infer_s * (DUT.infer_a - DUT.rest_a))
    waking_j = volt * (DUT.wake_s * (DUT.wake_a - DUT.rest_a) + DUT.load_s * (DUT.load_a - DUT.rest_a))
    a, q = math.exp(-rate * serving_s), math.exp(-rate * DUT.tail_s)
    assert holds(measured, volt * DUT.rest_a + rate * (serving_j + a * q * waking_j) + volt * (DUT.tail_a - DUT.rest_a) * a * (1 - q))


def test_without_a_mark_of_ready_nothing_tells_what_waking_takes() -> None:
    assert get(sweep(captures(Bench(), marked=False)), "best_time_out").flags == (NO_READY,)
