"""What the figures of a candidate should be: from its board's own records of a twin without dispersion, never from labd.

The supply that the board really had is that of the specimens that the search measured with: the same seeds. Memory is not among them: its
builder counts it, and nothing else does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.accuracy.lab import Lab, lab_of
from benchmarks.accuracy.truth import FAULTLESS, QUIET, STILL, duration, events_of, net_energy
from benchmarks.usecase import twin
from labd.bench_file import Bench, Plan, load_plan
from labd.bench_file.board import load_board
from labd.kpi.share import Z95
from labd.records import KpiRecord, OperatingPoint, Role
from labd.search.folder import Folder
from labd.search.outcome import Outcome
from labd.search.use_case import UseCase

EVENTS = 60  # as in the search: inputs of an image take turns
SIGMAS = 3.0  # a figure that is further off falls short
WIDEST = {"mean_power": 0.1, "energy_per_inference": 0.1, "latency": 0.2}  # half an interval, as a share: one that is wider says too little
QUEUED = 400_000


@dataclass(frozen=True, slots=True)
class Held:
    """A figure against what is true. off: in standard uncertainties; None for accuracy, as its reference has it."""

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
        """Near the truth by its own uncertainty, which is small enough to say something."""
        if self.objective == "accuracy":
            return self.record.value == self.true
        return self.off is not None and abs(self.off) <= SIGMAS and self.width <= WIDEST[self.objective]

    @property
    def width(self) -> float:
        """Half width of the 95 % interval, as a share of the truth."""
        low, high = self.record.low, self.record.high
        return float("inf") if low is None or high is None else (high - low) / 2 / self.true


async def held(use_case: UseCase, folder: Folder, outcome: Outcome) -> tuple[list[Held], list[str]]:
    """Every figure of a measured candidate that the board's physics, or the net's reference in numpy, says the truth of; and where it was
    measured otherwise than its use case asks for."""
    program = twin.program_of(folder.path.parent / "builds", use_case, outcome)
    bench = twin.bench_of(use_case, outcome, program)
    plan = twin.plan_of(use_case, outcome, bench)
    place = folder.candidate(outcome.platform, outcome.number, outcome.repeat)
    otherwise = list(twin.departures(load_board(place / "board.toml"), load_plan(place / "plan.toml"), bench, plan))
    answer = json.loads((program.parent / "answer.json").read_text("utf-8"))
    true = {**await _physics(bench, plan, use_case), "accuracy": float(answer["expected_accuracy"])}
    return [_held(name, record, true[name]) for name, record in outcome.figures.items() if name in true], otherwise


def _held(name: str, record: KpiRecord, true: float) -> Held:
    assert record.value is not None
    if name == "accuracy" or record.low is None or record.high is None:
        return Held(name, record, true, None)
    arm = (record.high - record.value if true > record.value else record.value - record.low) / Z95
    return Held(name, record, true, (true - record.value) / arm)


async def _physics(bench: Bench, plan: Plan, use_case: UseCase) -> dict[str, float]:
    mode, model, rate_hz = plan.modes[0], plan.models[0], use_case.rate_hz
    point = OperatingPoint(mode, rate_hz, plan.supply[0], model)
    async with lab_of(bench, plan, model=model) as lab:
        events = await _events(lab, point, events=6)
        supply_v = _mean(one["energy_j"] / one["charge_c"] for one in events)
    still = {**STILL, "clock_error": 0.0}  # at most 30 ppm, of which no figure here knows
    async with lab_of(bench, plan, model=model, board=still, changes={"unkind": QUIET}, smu=FAULTLESS) as lab:
        events = await _events(lab, OperatingPoint(mode, rate_hz, supply_v, model), events=EVENTS)
    net_j, rest_w = _mean(net_energy(one) for one in events), _mean(one["rest"]["settled_power_w"] for one in events)
    power_w = rest_w + rate_hz * net_j
    spread = float(bench.board.virtual.get("cycle_dispersion", 0.002))
    latency_s = latency_p95(events, spread=spread, wakes=mode.is_event, rate_hz=rate_hz if use_case.poisson else None)
    return {"mean_power": power_w, "energy_per_inference": power_w / rate_hz, "latency": latency_s}


def latency_p95(events: Sequence[dict[str, Any]], *, spread: float, wakes: bool, rate_hz: float | None) -> float:
    """Of events by chance, played one after the other: each waits for what is left of those before it, wakes the board, and has its result.
    events: the board's own records of them, whose inputs take turns. spread: of its cycles. rate_hz None: no event finds another one."""
    draw, wait_s, took_s = np.random.default_rng(2), 0.0, np.zeros(QUEUED)
    chosen, cycles = draw.integers(len(events), size=QUEUED), np.exp(spread * draw.standard_normal(QUEUED))
    gaps_s = np.full(QUEUED, np.inf) if rate_hz is None else draw.exponential(1 / rate_hz, QUEUED)
    lasts = [duration(one, "start_ns", "end_ns") for one in events]
    woken = [duration(one, "event_ns", "ready_ns") if wakes else 0.0 for one in events]
    keeps = [duration(one, "event_ns", "asleep_ns") if wakes else own for one, own in zip(events, lasts, strict=True)]
    for k, (at, factor) in enumerate(zip(chosen, cycles, strict=True)):
        infer_s = lasts[at] * factor
        took_s[k] = wait_s + woken[at] + infer_s
        wait_s = max(0.0, wait_s + keeps[at] + infer_s - lasts[at] - gaps_s[k])
    return float(np.quantile(took_s, 0.95))


async def _events(lab: Lab, point: OperatingPoint, *, events: int) -> list[dict[str, Any]]:
    measured = await lab.measure(point, Role.MEAN, events=events)
    return events_of(measured.truth)[1:-1]


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
