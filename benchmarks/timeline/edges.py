"""Edges and energy of bursts at a million records a second, with noise and range changes, against the physics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.timeline.board import TAU_S, Board, Conditions, Program
from benchmarks.timeline.meter import Meter, recorded
from labd.records import Mode
from labd.segment.bursts import find_bursts
from labd.segment.clocks import FloatArray
from labd.segment.refine import refined

DT_S = 1e-6
SMOOTH_S = 50e-6
PERIOD_US = 50_000
RECOVERED_TAUS = 25.0  # as the physics' own energy of an event counts it
EDGE_SD_S = 10e-6
ENERGY_MEDIAN = 1e-3


@dataclass(frozen=True, slots=True)
class BurstErrors:
    """Of all bursts of one record: edges in seconds, energy as a share."""

    rise_s: FloatArray
    fall_s: FloatArray
    energy: FloatArray

    def line(self) -> str:
        def said(off_s: FloatArray) -> str:
            return f"{1e6 * off_s.mean():+.2f} us, sd {1e6 * off_s.std():.2f} us"

        energy = 100 * np.median(np.abs(self.energy))
        return f"{len(self.energy)} bursts at 1 MSa/s: rise {said(self.rise_s)}; fall {said(self.fall_s)}; energy {energy:.4f} % (median)"

    def shortcomings(self) -> list[str]:
        found = [
            f"{name} edges of bursts: sd {1e6 * off.std():.1f} us, mean {1e6 * off.mean():.1f} us, 10 us are promised"
            for name, off in (("rising", self.rise_s), ("falling", self.fall_s))
            if max(off.std(), abs(off.mean())) > EDGE_SD_S
        ]
        if np.median(np.abs(self.energy)) > ENERGY_MEDIAN:
            found.append(f"energy of bursts: {100 * np.median(np.abs(self.energy)):.3f} % off in the median, 0.1 % is promised")
        return found


async def burst_errors(board: Board, events: int, rng: np.random.Generator) -> BurstErrors:
    """Raises RuntimeError where labd finds another number of bursts."""
    conditions = Conditions(Mode.EVENT_RELOAD, float(rng.uniform(-0.02, 0.02)), 0.0, 1.0, stops=False, idle_s=0.01, capacitance=1.0)
    ran = await board.run(conditions, Program(None, events, PERIOD_US), seed=int(rng.integers(1 << 32)))
    record = recorded(board.node, Meter(DT_S, 0.0, 0.0, 0.0, 0.01, glitches=True), ran.span_ns, rng)
    rough = find_bursts(record.power, tau_records=TAU_S / DT_S, smooth_records=round(SMOOTH_S / DT_S))
    asleep = slice(*record.place(np.array([ran.truth[0]["event_ns"] - 1e7, ran.truth[-1]["recovered_ns"] + 1e7]), delayed=True).astype(int))
    bursts = refined(record.power, rough, tau_records=TAU_S / DT_S)
    bursts = bursts.take((bursts.first > asleep.start) & (bursts.stop < asleep.stop))
    if len(bursts) != events:
        raise RuntimeError(f"{len(bursts)} bursts of {events} were found")
    rise, fall = (
        record.place(np.array([e[name] for e in ran.truth], dtype=np.float64), delayed=True) for name in ("event_ns", "asleep_ns")
    )
    area = np.concatenate(([0.0], np.cumsum(record.power, dtype=np.float64))) * DT_S
    ends = bursts.fall.x + RECOVERED_TAUS * TAU_S / DT_S
    energy = np.diff(np.interp(np.stack((bursts.rise.x, ends)), np.arange(len(area)), area), axis=0)[0]
    return BurstErrors(
        (bursts.rise.x - rise) * DT_S, (bursts.fall.x - fall) * DT_S, energy / np.array([e["energy_j"] for e in ran.truth]) - 1
    )
