"""What the figures of a candidate should be: from its board's own records of a twin without dispersion, never from labd.

The supply that the board really had is that of the specimens that the search measured with: the same seeds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.lab import Lab, lab_of
from benchmarks.accuracy.truth import QUIET, STILL, duration, events_of, net_energy
from labd import bench_file
from labd.bench_file import Bench, Plan
from labd.bench_file.board import load_board
from labd.kpi.share import Z95
from labd.records import KpiRecord, OperatingPoint, Role
from labd.search.folder import Folder
from labd.search.outcome import Outcome
from labd.search.use_case import UseCase

EVENTS = 60  # as in the search: inputs of an image take turns
SIGMAS = 3.0  # a figure that is further off falls short
DRAWS = 20_000
QUEUED = 400_000


@dataclass(frozen=True, slots=True)
class Held:
    """A figure against what is true. off: in standard uncertainties; None for a count, which has none."""

    objective: str
    record: KpiRecord
    true: float
    off: float | None

    @property
    def covered(self) -> bool:
        low, high = self.record.low, self.record.high
        return self.record.value == self.true or (low is not None and high is not None and low <= self.true <= high)

    @property
    def fine(self) -> bool:
        return self.record.value == self.true if self.off is None else abs(self.off) <= SIGMAS


async def held(use_case: UseCase, folder: Folder, outcome: Outcome) -> list[Held]:
    """Every figure of a measured candidate that the board's physics, or the net's reference in numpy, says the truth of."""
    place = folder.candidate(outcome.platform, outcome.number, outcome.repeat)
    bench = bench_file.load_bench(use_case.beside(use_case.platforms[outcome.platform].bench))
    bench._board = load_board(place / "board.toml")
    plan = bench_file.load_plan(place / "plan.toml")
    true = await _physics(bench, plan, use_case)
    true |= _reference(bench)
    found = {name: record for name, record in outcome.figures.items() if name in true}
    return [_held(name, record, true[name]) for name, record in found.items()]


def _held(name: str, record: KpiRecord, true: float) -> Held:
    assert record.value is not None
    if name in ("memory", "accuracy") or record.low is None or record.high is None:
        return Held(name, record, true, None)  # the reference gives the very answers that the board has to give
    arm = (record.high - record.value if true > record.value else record.value - record.low) / Z95
    return Held(name, record, true, (true - record.value) / arm)


def _reference(bench: Bench) -> dict[str, float]:
    """Accuracy and size as the builder's own reference has them, without the device."""
    built = Path(str(bench.board.virtual["firmware_program"])).parent
    answer = json.loads((built / "answer.json").read_text("utf-8"))
    return {"accuracy": answer["expected_accuracy"], "memory": answer["size"]["flash"] + answer["size"]["ram"]}


async def _physics(bench: Bench, plan: Plan, use_case: UseCase) -> dict[str, float]:
    mode, model, rate_hz = plan.modes[0], plan.models[0], use_case.rate_hz
    point = OperatingPoint(mode, rate_hz, plan.supply[0], model)
    async with lab_of(bench, plan, model=model) as lab:
        events = await _events(lab, point, events=6)
        supply_v = _mean(one["energy_j"] / one["charge_c"] for one in events)
    still = {**STILL, "clock_error": 0.0}  # at most 30 ppm, of which no figure here knows
    async with lab_of(bench, plan, model=model, board=still, changes={"unkind": QUIET}) as lab:
        twin = await _events(lab, OperatingPoint(mode, rate_hz, supply_v, model), events=EVENTS)
    net_j, rest_w = _mean(net_energy(one) for one in twin), _mean(one["rest"]["settled_power_w"] for one in twin)
    power_w = rest_w + rate_hz * net_j
    lasts = np.array([duration(one, "start_ns", "end_ns") for one in twin])
    woken_s = _mean(duration(one, "event_ns", "ready_ns") for one in twin) if mode.is_event else 0.0
    latency_s = _p95(lasts, bench) + woken_s
    if use_case.poisson:
        taken_s = _mean(duration(one, "event_ns", "asleep_ns") for one in twin) if mode.is_event else float(lasts.mean())
        latency_s += _waits_p95(taken_s, rate_hz)
    return {"mean_power": power_w, "energy_per_inference": power_w / rate_hz, "latency": latency_s}


def _waits_p95(taken_s: float, rate_hz: float) -> float:
    """Of events by chance, played one after the other: each waits for what is left of those before it."""
    draw, waits = np.random.default_rng(2), np.zeros(QUEUED)
    for k, gap in enumerate(draw.exponential(1 / rate_hz, QUEUED - 1)):
        waits[k + 1] = max(0.0, waits[k] + taken_s - gap)
    return float(np.quantile(waits, 0.95))


async def _events(lab: Lab, point: OperatingPoint, *, events: int) -> list[dict[str, Any]]:
    measured = await lab.measure(point, Role.MEAN, events=events)
    return events_of(measured.truth)[1:-1]


def _p95(lasts: np.ndarray[Any, np.dtype[np.float64]], bench: Bench) -> float:
    """Of inferences with inputs that take turns, each off by the board's dispersion of cycles."""
    spread = float(bench.board.virtual.get("cycle_dispersion", 0.002))
    draw = np.random.default_rng(1)
    return float(np.quantile(draw.choice(lasts, DRAWS) * np.exp(spread * draw.standard_normal(DRAWS)), 0.95))


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
