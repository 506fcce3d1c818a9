"""What the instruments of a bench do today: round trip, zero, noise, settling, sample rate, and how the clocks go. Nothing is judged by
a figure that has no limit; each is told, and kept with the runs that follow."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from labd.bench import setups
from labd.bench.finding import Finding
from labd.bench.ranges import amperes, floor_range, range_u95, voltage_range
from labd.bench.readings import next_reading
from labd.bench.rig import Rig
from labd.bench.station import Tool
from labd.bench.taken import Taken
from labd.dut.replies import lap_difference_us
from labd.errors import LabdError
from labd_instruments.contract import MeanSetup, Measures, Reading

QUESTIONS = 20
ZERO_READINGS = 20
SETTLED_SD = 5.0  # standard deviations of the later half: within them a reading is like those
APART_S = 1.0  # two looks at the board's counter
_PERCENT_FROM = 1e-3  # shares below it are told in ppm


async def round_trip(tool: Tool) -> Finding:
    """One short question and its answer, as often as makes a median; with what labd itself adds."""
    took_s = []
    for _ in range(QUESTIONS):
        began_s = time.perf_counter()
        await tool.call(tool.driver.identify)
        took_s.append(time.perf_counter() - began_s)
    median_s, worst_s = statistics.median(took_s), max(took_s)
    return Finding(
        f"{tool.spec.name} round trip",
        True,
        f"answers in {median_s * 1e3:.3g} ms (median of {QUESTIONS}), at worst in {worst_s * 1e3:.3g} ms",
        {"median_s": median_s, "worst_s": worst_s},
        of=tool.spec.name,
    )


@dataclass(frozen=True, slots=True)
class Zero:
    """Readings of nothing. settled: how many came before those that are like the later half. noise_a: standard deviation of the others."""

    mean_a: float
    noise_a: float
    settled: int

    @classmethod
    def of(cls, current_a: Sequence[float]) -> Zero:
        late = np.asarray(current_a[len(current_a) // 2 :])
        near = np.abs(np.asarray(current_a) - late.mean()) <= SETTLED_SD * max(float(late.std(ddof=1)), float(np.finfo(np.float32).tiny))
        settled = int(np.flatnonzero(~near)[-1]) + 1 if not near.all() else 0
        steady = np.asarray(current_a[settled:])
        return cls(float(steady.mean()), float(steady.std(ddof=1)), settled)


async def zero(rig: Rig, supply_v: float) -> Finding:
    """The meter's reading of nothing, on the range of the floors, against its limit of error there."""
    meter = rig.station.meter
    driver = meter.driver
    if not isinstance(driver, Measures):
        return Finding("zero", None, f"{meter.spec.name} has no steady readings to test it with")
    if not setups.able(meter).fixed_ranges:
        return Finding("zero", None, f"{meter.spec.name} has no fixed range to read nothing on")
    if meter is rig.station.source and not setups.able(meter).reads_when_off:
        return Finding("zero", None, f"{meter.spec.name} takes no readings with its output off")
    try:
        full_scale = rig.floor_range_a or floor_range(meter, rig.board.sleep_a)
        setup = MeanSetup(aperture_s=1 / rig.mains_hz, current_range_a=full_scale, voltage_range_v=voltage_range(meter, supply_v))
        setup = replace(setup, aperture_s=setups.interval_s(meter, setup))
        readings, each_s = await _read_nothing(rig, driver, setup)
    except LabdError as error:
        return Finding("zero", False, str(error))
    limit = range_u95(meter, full_scale, ampere=0.0, aperture_s=setup.aperture_s)  # one rectangular term: its limit
    found = Zero.of([reading.current_a for reading in readings])
    figures = {"mean_a": found.mean_a, "noise_a": found.noise_a, "settled_s": found.settled * each_s, "each_s": each_s}
    text = (
        f"{meter.spec.name} reads {amperes(found.mean_a, 3)} with its output off, on the {amperes(full_scale)} range, "
        f"noise {amperes(found.noise_a, 2)}, {_settled(found.settled, each_s)}"
    )
    if limit is None:
        return Finding("zero", None, f"{text}; its limit of error is not known", figures, of=meter.spec.name)
    figures["limit_a"] = limit
    if abs(found.mean_a) > limit:
        return Finding(
            "zero",
            False,
            f"{text}, more than its limit of {amperes(limit, 3)}: let it warm up, zero or calibrate it",
            figures,
            of=meter.spec.name,
        )
    return Finding("zero", True, f"{text}, limit {amperes(limit, 3)}", figures, of=meter.spec.name)


async def _read_nothing(rig: Rig, driver: Measures, setup: MeanSetup) -> tuple[list[Reading], float]:
    """Readings with the output off, and how long each took. The meter is off the low range when it returns or fails: the board, which is
    powered next, would brown out on it."""
    meter = rig.station.meter
    try:
        acquisition = await meter.call(driver.configure_mean, setup)
        await meter.call(driver.zero)
        began_s = time.perf_counter()
        readings = [await next_reading(rig, meter, driver, acquisition) for _ in range(ZERO_READINGS)]
        return readings, (time.perf_counter() - began_s) / ZERO_READINGS
    finally:
        await meter.call(meter.driver.reset)


def _settled(readings: int, each_s: float) -> str:
    if not readings:
        return f"settled from the first reading ({each_s * 1e3:.3g} ms)"
    return f"settled after {readings} readings ({readings * each_s * 1e3:.3g} ms)"


def sample_rate(meter: Tool, taken: Taken) -> Finding:
    """Of a log that was taken: what came against what its interval promises, by the clock that told the log's length."""
    dt_s, end = taken.acquisition.dt_ns * 1e-9, taken.end
    if end is None or end.elapsed_s <= 0:
        return Finding(
            "sample rate", None, f"{meter.spec.name} takes readings of {taken.acquisition.aperture_s * 1e3:.3g} ms, and keeps no log"
        )
    rate_hz, apart = end.records / end.elapsed_s, end.records * dt_s / end.elapsed_s - 1
    resolved = 1 / end.records  # the log ends between two samples
    return Finding(
        "sample rate",
        not end.missing,
        f"{meter.spec.name} gave {end.records} samples in {end.elapsed_s:.3f} s by {end.elapsed_by}: {rate_hz:.6g} /s where "
        f"{1 / dt_s:.6g} /s are set, {apart * 100:+.2g} % (told to {resolved * 100:.1g} %), {end.missing or 'none'} missing",
        {"rate_hz": rate_hz, "set_hz": 1 / dt_s, "apart": apart, "missing": float(end.missing)},
        of=meter.spec.name,
    )


async def board_clock(rig: Rig) -> Finding:
    """The board's counter against this machine's clock: how fast it goes, as far as two looks at it tell."""
    if rig.station.clock.stepped:
        return Finding("board clock", None, "the time of this virtual bench is stepped: there is no second clock")
    first = await rig.device.counter()
    if first is None:
        return Finding("board clock", None, "an energy build tells no time")
    await rig.station.clock.sleep(APART_S)
    second = await rig.device.counter()
    if second is None:
        return Finding("board clock", None, "the board told its time once, and then no more")
    here_s = (second.middle_ns - first.middle_ns) * 1e-9
    there_s = lap_difference_us(first.us, second.us) * 1e-6
    apart, u = there_s / here_s - 1, (first.half_s + second.half_s) / here_s
    offset_s = first.us * 1e-6 - first.middle_ns * 1e-9
    return Finding(
        "board clock",
        True,
        f"{pace(apart, u)}; its offset is told to {first.half_s * 1e3:.2g} ms",
        {"apart": apart, "apart_u": u, "offset_s": offset_s, "offset_u_s": first.half_s},
    )


def pace(apart: float, u: float) -> str:
    """By which share a clock goes faster than this machine's, where two looks, which tell it to within u, can see that at all."""
    if abs(apart) <= u:
        return f"goes as this machine's to within {_share(u)}: two looks tell no better, any difference is not resolved"
    return f"goes {'+' if apart > 0 else '-'}{_share(abs(apart))} against this machine's, told to {_share(u)} by two looks"


def _share(of_one: float) -> str:
    return f"{of_one * 100:.2g} %" if of_one >= _PERCENT_FROM else f"{of_one * 1e6:.3g} ppm"
