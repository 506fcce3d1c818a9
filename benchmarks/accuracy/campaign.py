"""Which captures the campaign makes, and how each is judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.accuracy.lab import Lab, Measured, open_lab, point
from benchmarks.accuracy.truth import CLOCK_ERROR, Expected, duration, events_of, expectations, truth_of
from benchmarks.accuracy.unknown import CASES, MODES, Disturbed, disturbed
from benchmarks.accuracy.verdict import Tallies, Tally, records_by_id
from labd.kpi.capture import CaptureResult
from labd.kpi.inputs import Detector
from labd.kpi.sweep import analyse_sweep
from labd.records import Mode, Role

COOL_S = 120.0  # six thermal time constants: the rest power of a floor is then that of a cold board
EVENTS = 100
RATES = (2.3, 9.7, 31.1)  # of a sweep: not locked to mains, records or each other


@dataclass(frozen=True, slots=True)
class Sizes:
    means: int
    floors: int
    events: int
    sweeps: int
    unknown: int
    real: int


FULL = Sizes(means=300, floors=150, events=100, sweeps=40, unknown=48, real=20)
QUICK = Sizes(means=60, floors=30, events=30, sweeps=6, unknown=12, real=4)


@dataclass(slots=True)
class Findings:
    """Everything the campaign found."""

    tallies: Tallies = field(default_factory=Tallies)
    naive: Tally = field(default_factory=lambda: Tally("edge-gated (naive)"))
    gross_errors: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    quantiles: list[tuple[str, float, float]] = field(default_factory=list)
    captures: int = 0
    real_captures: int = 0
    real: tuple[int, int] = (0, 0)
    unknown: dict[str, Disturbed] = field(default_factory=dict)


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


async def campaign(sizes: Sizes, seed: int) -> Findings:
    """Two chains side by side, each on benches of its own: known physics in stepped time, and real time and disturbed cases."""
    found = Findings()
    expected = await expectations()
    say(f"twin measured; seed {seed}")
    async with asyncio.TaskGroup() as chains:
        chains.create_task(_known(sizes, seed, expected, found), name="known physics")
        chains.create_task(_disturbed(sizes, seed, expected, found), name="disturbed")
    return found


async def _known(sizes: Sizes, seed: int, expected: Mapping[Mode, Expected], found: Findings) -> None:
    async with open_lab(seed=seed, board=CLOCK_ERROR) as lab:
        await single_captures(lab, sizes, seed, expected, found)
        await sweeps(lab, sizes, seed, expected, found)


async def _disturbed(sizes: Sizes, seed: int, expected: Mapping[Mode, Expected], found: Findings) -> None:
    await real_time(sizes, seed, expected, found)
    for number, case in enumerate(CASES if sizes.unknown else ()):
        found.unknown[case.name] = one = await disturbed(case, sizes.unknown, seed + 1000 * (number + 1))
        found.captures += one.captures
        say(f"{case.name}: {one}")


async def single_captures(lab: Lab, sizes: Sizes, seed: int, expected: Mapping[Mode, Expected], found: Findings) -> None:
    """Each capture with instruments drawn anew: its intervals are independent trials."""
    rates = np.random.default_rng(seed).uniform(6.0, 30.0, sizes.means)
    plans: list[tuple[Mode, float, Role, int]] = [(MODES[k % 3], float(r), Role.MEAN, EVENTS) for k, r in enumerate(rates)]
    plans += [(MODES[k % 3], 0.0, Role.FLOOR, 0) for k in range(sizes.floors)]
    plans += [(MODES[1 + k % 2], 0.0, Role.EVENT, 60) for k in range(sizes.events)]
    for number, (mode, rate, role, events) in enumerate(plans):
        lab.redraw(seed + number + 1)
        if role is Role.FLOOR:
            await lab.rest(COOL_S)
        measured = await lab.measure(point(mode, rate), role, events=events, naive=role is Role.MEAN and mode is Mode.ALWAYS_ON)
        judge(measured, expected[mode], found)
        found.captures += 1
        if number % 50 == 49:
            say(f"{number + 1} of {len(plans)} single captures")


def judge(measured: Measured, expected: Expected, found: Findings) -> None:
    records = records_by_id(measured.result.records)
    true = truth_of(measured, expected)
    for name, value in true.items():
        found.tallies.of(NAMES.get(name, name)).add(records.get(name), value)
    if measured.naive is not None:
        found.naive.add(measured.naive, true["energy_per_inference.gross"])
        gross = records["energy_per_inference.gross"]
        if gross.value is not None:
            found.gross_errors.append(gross.value / true["energy_per_inference.gross"] - 1)
    if measured.result.role is Role.MEAN:
        found.latencies += [duration(e, "start_ns", "end_ns") for e in events_of(measured.truth)]
        for name in ("latency.pin.p50", "latency.pin.p95"):
            record = records.get(name)
            if record is not None and record.low is not None and record.high is not None:
                found.quantiles.append((name, record.low, record.high))


NAMES = {
    "energy_per_inference.net_of_idle": "energy_per_inference.net",
    "energy_per_inference.net_of_sleep": "energy_per_inference.net",
    "power.idle": "power.idle, power.sleep",
    "power.sleep": "power.idle, power.sleep",
}


async def sweeps(lab: Lab, sizes: Sizes, seed: int, expected: Mapping[Mode, Expected], found: Findings) -> None:
    """Instruments drawn anew for each sweep; floor, slope and break-even of its fits."""
    for number in range(sizes.sweeps):
        lab.redraw(seed + 100_000 + number)
        floors: dict[Mode, list[float]] = {mode: [] for mode in MODES}
        nets: dict[Mode, list[float]] = {mode: [] for mode in MODES}
        results: list[CaptureResult] = []
        for mode in MODES:
            for _ in range(2):
                await lab.rest(COOL_S)
                measured = await lab.measure(point(mode, 0.0), Role.FLOOR)
                floors[mode].append(truth_of(measured, expected[mode])["power.floor"])
                results.append(measured.result)
            for rate in RATES:
                measured = await lab.measure(point(mode, rate), Role.MEAN, events=40)
                truth = truth_of(measured, expected[mode])
                nets[mode].append(truth["energy_per_inference.net_of_sleep" if mode.is_event else "energy_per_inference.net_of_idle"])
                results.append(measured.result)
            found.captures += 2 + len(RATES)
        judge_sweep(
            results, {m: float(np.mean(floors[m])) for m in MODES}, {m: float(np.mean(nets[m])) for m in MODES}, found, seed + number
        )
        if number % 10 == 9:
            say(f"{number + 1} of {sizes.sweeps} sweeps")


def judge_sweep(results: list[CaptureResult], floors: Mapping[Mode, float], nets: Mapping[Mode, float], found: Findings, seed: int) -> None:
    sweep = analyse_sweep(results, detector=Detector(), battery=None, seed=seed)
    records = {(r.id, r.at): r for r in sweep.records}
    for mode in MODES:
        found.tallies.of("fit.floor_power").add(records.get(("fit.floor_power", str(mode))), floors[mode])
        found.tallies.of("fit.incremental_energy").add(records.get(("fit.incremental_energy", str(mode))), nets[mode])
    for first, second in ((MODES[0], MODES[1]), (MODES[0], MODES[2])):
        true = (floors[first] - floors[second]) / (nets[second] - nets[first])
        found.tallies.of("break_even_rate").add(records.get(("break_even_rate", f"{first}|{second}")), true)


async def real_time(sizes: Sizes, seed: int, expected: Mapping[Mode, Expected], found: Findings) -> None:
    """The whole way against the wall clock."""
    tallies = Tallies()
    async with open_lab(time="real", seed=seed + 7, board=CLOCK_ERROR) as lab:
        for number in range(sizes.real):
            lab.redraw(seed + 200_000 + number)
            mode = MODES[number % 3]
            measured = await lab.measure(point(mode, 17.3), Role.MEAN, events=30)
            records = records_by_id(measured.result.records)
            for name, value in truth_of(measured, expected[mode]).items():
                tallies.of("real time").add(records.get(name), value)
            found.real_captures += 1
    real = tallies.of("real time")
    say(f"{found.real_captures} captures in real time: {real.covered} of {real.total} intervals cover")
    # the figures of one capture share its instrument: what counts is that nothing is far off, the trials are too few and too dependent
    found.real = (real.covered, real.total)
