"""Physics and instruments that the analysis is not told of: each figure covers all the same, or says each time that it is not sure."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.accuracy.lab import Lab, demo, lab_of, point, two_wire
from benchmarks.accuracy.truth import CLOCK_ERROR, FAULTLESS, QUIET, STILL, expected_of, truth_of
from benchmarks.accuracy.verdict import records_by_id, unsure
from labd.records import KpiRecord, Mode, Role

MODES = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP, Mode.EVENT_RELOAD)
EVENTS = 50
RATES = (5.3, 11.9, 23.7)
RECORD_S = 307.2e-6  # of a capture at a rate on this bench
JUDGED = ("energy_per_inference.gross", "energy_per_inference.net_of_idle", "energy_per_inference.net_of_sleep", "power.mean")
COVERED_SHARE, UNSURE_SHARE = 0.9, 0.99


@dataclass(frozen=True, slots=True)
class Unknown:
    """board, changes, smu: as in `lab_of`. after: happens to the powered board. leads_ohm: each way, where the bench file says
    DECLARED_OHM and senses with two wires; 0: with four."""

    name: str
    board: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    smu: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    leads_ohm: float = 0.0
    rates_hz: tuple[float, ...] = RATES


DECLARED_OHM = (0.12, 0.03)

CASES = (
    Unknown("two-pole settling", {"bulk_f": 22e-6, "bulk_ohm": 20.0}),
    Unknown("supply ripple", {"ripple_v": 5e-3, "ripple_hz": 300.0}),
    Unknown("mains hum x25", changes={"unkind": {"hum_a": 5e-6}}),
    Unknown("zero drift x3", changes={"unkind": {"drift": 3.0}}),
    Unknown("thermal transient", {"thermal_k_per_w": 5000.0, "thermal_tau_s": 2.0}),
    Unknown("time constant 50 % longer", {"series_ohm": 7.05}),
    Unknown("time constant x3", {"series_ohm": 14.1}),
    Unknown("DUT clock 2 % fast", {"clock_error": 0.02}),
    Unknown(
        "rate locked to the sampler",
        {"clock_error": 0.0},
        smu={"timebase": 0.0},
        rates_hz=tuple(1 / (records * RECORD_S) for records in (614, 272, 137)),
    ),
    Unknown("back-feed", {"backfeed_a": 20e-6}, after={"uart.driven": True}),
    Unknown("leads 50 % longer", leads_ohm=1.5 * DECLARED_OHM[0]),
    Unknown("second sleep state", {"deep_sleep_a": -1.5e-6, "deep_sleep_after_s": 0.05}),
    Unknown("range glitches x20", changes={"unkind": {"range_transient": 20.0}}),
    Unknown("noise x4", changes={"unkind": {"noise": 4.0}}),
)


@dataclass(slots=True)
class Cell:
    """One figure in one mode. unsure: captures in which it is flagged with a reserve or withheld."""

    captures: int = 0
    covered: int = 0
    unsure: int = 0

    @property
    def told(self) -> bool:
        return self.unsure >= UNSURE_SHARE * self.captures


@dataclass(slots=True)
class Disturbed:
    """Of one case, by mode and figure."""

    cells: dict[tuple[Mode, str], Cell] = field(default_factory=dict)

    @property
    def captures(self) -> int:
        return sum(max(cell.captures for (m, _), cell in self.cells.items() if m is mode) for mode in {mode for mode, _ in self.cells})

    @property
    def claimed(self) -> list[Cell]:
        return [cell for cell in self.cells.values() if not cell.told]

    def __str__(self) -> str:
        covered, intervals = (sum(getattr(cell, name) for cell in self.claimed) for name in ("covered", "captures"))
        told = len(self.cells) - len(self.claimed)
        return f"{covered} of {intervals} intervals of {len(self.claimed)} figures cover; {told} figures are flagged or withheld each time"

    def shortcomings(self) -> list[str]:
        """Figures that neither cover nor say that they are not sure; the intervals of one capture count as one trial."""
        found = [
            f"{figure} in {mode}: {cell.covered} of {cell.captures} cover, {cell.unsure} say that they are not sure"
            for (mode, figure), cell in self.cells.items()
            if not cell.told and cell.covered < least(COVERED_SHARE, cell.captures) * cell.captures
        ]
        covered, intervals = (sum(getattr(cell, name) for cell in self.claimed) for name in ("covered", "captures"))
        return found or ([str(self)] if covered < least(COVERED_SHARE, self.captures) * intervals else [])


def least(share: float, captures: int) -> float:
    """The share that must be seen for a true share to be believed, 0.1 % one-sided: a dozen cases, and any seed, must not fail a sound
    build."""
    return share - 3.09 * math.sqrt(share * (1 - share) / captures)


def on_case(number: int, captures: int, seed: int) -> Disturbed:
    """The number-th of CASES, by itself."""
    return asyncio.run(disturbed(CASES[number], captures, seed + 1000 * (number + 1)))


async def disturbed(case: Unknown, captures: int, seed: int) -> Disturbed:
    async with _lab(case, seed, board=STILL, changes={"unkind": QUIET}, smu=FAULTLESS) as twin:
        expected = await expected_of(twin)
    found = Disturbed()
    async with _lab(case, seed, changes=case.changes) as lab:
        for number in range(captures):
            lab.redraw(seed + number)
            mode = MODES[number % 3]
            rate_hz = case.rates_hz[number // 3 % 3]
            measured = await lab.measure(point(mode, rate_hz), Role.MEAN, events=EVENTS)
            records, true = records_by_id(measured.result.records), truth_of(measured, expected[mode])
            for figure in (name for name in JUDGED if name in true):
                cell = found.cells.setdefault((mode, figure), Cell())
                cell.captures += 1
                cell.covered += _covers(records.get(figure), true[figure])
                cell.unsure += unsure(records.get(figure))
    return found


@asynccontextmanager
async def _lab(
    case: Unknown, seed: int, *, changes: Mapping[str, Any], board: Mapping[str, Any] | None = None, smu: Mapping[str, Any] | None = None
) -> AsyncIterator[Lab]:
    bench, plan = demo()
    true = {**case.smu, **(smu or {})}
    if case.leads_ohm:
        bench, true = two_wire(bench, *DECLARED_OHM), true | {"lead_ohm": case.leads_ohm}
    physics = CLOCK_ERROR | dict(case.board) | dict(board or {})
    async with lab_of(bench, plan, seed=seed, board=physics, changes=changes, smu=true) as lab:
        lab.disturb(case.after)
        yield lab
        lab.disturb(dict.fromkeys(case.after, False))


def _covers(record: KpiRecord | None, value: float) -> bool:
    return record is not None and record.low is not None and record.high is not None and record.low <= value <= record.high
