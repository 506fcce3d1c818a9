"""Captures on one of the benches at random, each with instruments drawn anew, and what is found of each figure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.accuracy.campaign import COOL_S, RATES
from benchmarks.accuracy.lab import Lab, Measured, point
from benchmarks.accuracy.truth import Expected, events_of, expected_of, truth_of
from benchmarks.accuracy.unknown import MODES
from benchmarks.accuracy.verdict import records_by_id
from benchmarks.coverage import best
from benchmarks.coverage.best import Account, Errors, Limits, half_width, limits_of
from benchmarks.coverage.physics import Variant, variant
from labd.kpi.capture import CaptureResult
from labd.kpi.inputs import Detector
from labd.kpi.sweep import analyse_sweep
from labd.records import KpiRecord, Mode, Role

EVENTS, EVENTS_ALONE, EVENTS_SWEPT = 60, 40, 40
SWEPT = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP)

GROSS, NET, MEAN, REST = "gross energy", "net energy", "mean power", "sleep or idle power"
WAKE, LATENCY, FLOOR, SLOPE, BREAK_EVEN = "wake-up time", "mean latency", "floor power", "incremental energy", "break-even rate"
FIGURES: Mapping[str, str] = {
    "energy_per_inference.gross": GROSS,
    "energy_per_inference.net_of_idle": NET,
    "energy_per_inference.net_of_sleep": NET,
    "power.mean": MEAN,
    "power.sleep": REST,
    "power.idle": REST,
    "wake_up.total": WAKE,
    "latency.pin.mean": LATENCY,
    "power.floor": FLOOR,
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Captures and sweeps on one bench."""

    means: int
    floors: int
    events: int
    sweeps: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One published figure. best: half-width that the best estimator would have stated."""

    figure: str
    record: KpiRecord | None
    truth: float
    best: float


@dataclass(slots=True)
class Campaign:
    """naive: edge-gated estimates with the truth of the gross energy. off: relative errors of the gross energy against what these very
    inferences took."""

    trials: list[Trial] = field(default_factory=list)
    off: list[float] = field(default_factory=list)
    naive: list[tuple[KpiRecord, float]] = field(default_factory=list)
    captures: int = 0


def on_bench(number: int, of: int, seed: int, counts: Counts) -> Campaign:
    """Captures on the number-th bench at random."""
    return asyncio.run(captures_on(variant(number, of, seed), counts))


async def captures_on(one: Variant, counts: Counts) -> Campaign:
    found, limits = Campaign(), limits_of(one.bench)
    async with one.twin() as twin:
        expected = await expected_of(twin)
    async with one.lab() as lab:
        await _alone(lab, one, counts, expected, limits, found)
        for number in range(counts.sweeps):
            await _sweep(lab, one.seed + 100_000 + number, expected, limits, found)
    return found


async def _alone(lab: Lab, one: Variant, counts: Counts, expected: Mapping[Mode, Expected], limits: Limits, found: Campaign) -> None:
    """Each capture on instruments of its own: independent trials."""
    rates_hz = np.random.default_rng(one.seed).uniform(6.0, 30.0, counts.means).tolist()
    plans: list[tuple[Mode, float, Role, int]] = [(MODES[k % 3], r, Role.MEAN, EVENTS) for k, r in enumerate(rates_hz)]
    plans += [(MODES[k % 3], 0.0, Role.FLOOR, 0) for k in range(counts.floors)]
    plans += [(MODES[1 + k % 2], 0.0, Role.EVENT, EVENTS_ALONE) for k in range(counts.events)]
    for number, (mode, rate_hz, role, events) in enumerate(plans):
        seed = one.seed + number + 1
        lab.redraw(seed)
        if role is Role.FLOOR:
            await lab.rest(COOL_S)
        measured = await lab.measure(point(mode, rate_hz), role, events=events, naive=role is Role.MEAN)
        found.captures += 1
        found.trials += trials_of(measured, expected[mode], Errors(limits, seed))
        if role is not Role.FLOOR:
            found.off += _off(measured, expected[mode])
        if measured.naive is not None:
            found.naive.append((measured.naive, truth_of(measured, expected[mode])["energy_per_inference.gross"]))


def _off(measured: Measured, expected: Expected) -> Iterator[float]:
    gross = records_by_id(measured.result.records)["energy_per_inference.gross"].value
    if gross is not None:
        seen = Account(events_of(measured.truth), measured.result.ranges_a)
        chance = float(np.mean(seen.infer_j())) / (expected.infer_j * seen.volt / expected.supply_v)
        yield gross / (truth_of(measured, expected)["energy_per_inference.gross"] * chance) - 1


def trials_of(measured: Measured, expected: Expected, errors: Errors) -> Iterator[Trial]:
    records, true = records_by_id(measured.result.records), truth_of(measured, expected)
    for kpi, value in true.items():
        if kpi in FIGURES:
            yield Trial(FIGURES[kpi], records.get(kpi), value, half_width(_best(FIGURES[kpi], measured, true, errors)))


def _best(figure: str, measured: Measured, true: Mapping[str, float], errors: Errors) -> best.Floats:
    ranges_a = measured.result.ranges_a
    if figure == FLOOR:
        return best.of_rest(errors, watt=true["power.floor"], volt=measured.result.point.supply_v, full_scale=ranges_a[-1])
    seen = Account(events_of(measured.truth), ranges_a)
    if figure == GROSS:
        return best.of_gross(errors, seen)
    if figure == NET:
        return best.of_net(errors, seen)
    if figure == MEAN:
        watt = true["power.mean"]
        return best.of_mean_power(errors, seen, watt=watt, rate_hz=watt / true["energy_per_inference.at_rate"])
    if figure == REST:
        return best.of_rest(errors, watt=seen.rest_w, volt=seen.volt, full_scale=seen.rest_range)
    if figure == LATENCY:
        return best.of_duration(errors, seen.infer_s(), ("start", "end"))
    woken_s = [(e["ready_ns"] - e["event_ns"]) * 1e-9 for e in seen.events]
    return best.of_duration(errors, woken_s, ("trigger", "ready"))


@dataclass(slots=True)
class _Line:
    """Of one mode of a sweep: true floor and slope, and the draws of their errors."""

    floors_w: list[float] = field(default_factory=list)
    nets_j: list[float] = field(default_factory=list)
    slopes: list[best.Floats] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    floor: best.Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def floor_w(self) -> float:
        return float(np.mean(self.floors_w))

    @property
    def slope_j(self) -> float:
        return float(np.mean(self.nets_j))

    @property
    def slope(self) -> best.Floats:
        total: best.Floats = np.sum(self.slopes, axis=0) / len(self.slopes)
        return total


async def _sweep(lab: Lab, seed: int, expected: Mapping[Mode, Expected], limits: Limits, found: Campaign) -> None:
    """Floor, slope and break-even of fits whose captures share their instruments. An energy that each rate tells alike is known from all of
    them: the mean of the three."""
    lab.redraw(seed)
    errors, results = Errors(limits, seed), list[CaptureResult]()
    lines = {mode: _Line() for mode in SWEPT}
    for mode, line in lines.items():
        for _ in range(2):
            await lab.rest(COOL_S)
            measured = await lab.measure(point(mode, 0.0), Role.FLOOR)
            line.floors_w.append(truth_of(measured, expected[mode])["power.floor"])
            line.floor = best.of_rest(errors, watt=line.floor_w, volt=3.0, full_scale=measured.result.ranges_a[-1])
            results.append(measured.result)
        for rate_hz in RATES:
            measured = await lab.measure(point(mode, rate_hz), Role.MEAN, events=EVENTS_SWEPT)
            net = "energy_per_inference.net_of_sleep" if mode.is_event else "energy_per_inference.net_of_idle"
            line.nets_j.append(truth_of(measured, expected[mode])[net])
            line.slopes.append(best.of_net(errors, Account(events_of(measured.truth), measured.result.ranges_a)))
            results.append(measured.result)
    found.captures += len(results)
    found.trials += _of_sweep(results, lines, seed)


def _of_sweep(results: list[CaptureResult], lines: Mapping[Mode, _Line], seed: int) -> Iterator[Trial]:
    sweep = analyse_sweep(results, detector=Detector(), battery=None, seed=seed)
    records = {(r.id, r.at): r for r in sweep.records}
    for mode, line in lines.items():
        yield Trial(SLOPE, records.get(("fit.incremental_energy", str(mode))), line.slope_j, half_width(line.slope))
        yield Trial(FLOOR, records.get(("fit.floor_power", str(mode))), line.floor_w, half_width(line.floor))
    on, event = (lines[mode] for mode in SWEPT)
    true_hz = (on.floor_w - event.floor_w) / (event.slope_j - on.slope_j)
    drawn_hz = (on.floor_w + on.floor - event.floor_w - event.floor) / (event.slope_j + event.slope - on.slope_j - on.slope)
    record = records.get(("break_even_rate", "|".join(map(str, SWEPT))))
    yield Trial(BREAK_EVEN, record, true_hz, half_width(drawn_hz - true_hz))
