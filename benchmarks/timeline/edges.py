"""Edges and energy of bursts at a million records a second, with noise and range changes: as labd's analysis of a run gives both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.timeline.board import SUPPLY_V, TAU_S, U_TAU, Board, Conditions, Program, Ran
from benchmarks.timeline.meter import Meter, Record, recorded, sampled
from labd.kpi.capture import analyse_capture
from labd.kpi.events import find_events
from labd.kpi.inputs import CaptureInput, Lap, MeterTerms, RangeTerm, Stretch
from labd.kpi.trace import built
from labd.records import Bracket, MarkStyle, Mode, OperatingPoint, Role
from labd.segment.bracketed import Burnt
from labd.segment.clocks import FloatArray
from labd.segment.signature import Signature

DT_S = 1e-6
PERIOD_US = 50_000
LONGEST_S = 0.03  # of an event, as a board file tells it
ENERGY = "energy_per_inference.per_event"
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
    """Raises RuntimeError where labd gives another number of bursts or energies."""
    conditions = Conditions(Mode.EVENT_RELOAD, float(rng.uniform(-0.02, 0.02)), 0.0, 1.0, stops=False, idle_s=0.01, capacitance=1.0)
    bracket = Bracket(2500, 6, int(rng.integers(1, 64)))
    ran = await board.run(conditions, Program(bracket, events, PERIOD_US), seed=int(rng.integers(1 << 32)))
    seen = sampled(board.node, ran.span_ns, dt_s=DT_S, timebase=0.0, rng=rng)
    record = recorded(seen, Meter(DT_S, 0.0, 0.0, 0.0, 0.01, glitches=True), rng)
    capture = _as_of_a_run(record, ran, bracket)
    found, energy = find_events(capture, built(capture)), np.array(analyse_capture(capture).per_event.get(ENERGY, ()))
    if len(found) != events or len(energy) != events:
        raise RuntimeError(f"{len(found)} bursts and {len(energy)} energies of {events} were found: {found.problems}")
    rise, fall = (
        record.place(np.array([e[name] for e in ran.truth], dtype=np.float64), delayed=True) for name in ("event_ns", "asleep_ns")
    )
    return BurstErrors(
        (found.rise.x - rise) * DT_S, (found.fall.x - fall) * DT_S, energy / np.array([e["energy_j"] for e in ran.truth]) - 1
    )


def _as_of_a_run(record: Record, ran: Ran, bracket: Bracket) -> CaptureInput:
    """What the analysis of a run is told of a capture by a log without lines: the signatures, the device's laps, its longest event."""
    current = (record.power / SUPPLY_V).astype(np.float32)
    exact = MeterTerms("log", (RangeTerm(1.0, 0.0, 0.0),), 0.0, 0.0, 0.0, time_constant_s=TAU_S, u_time_constant_s=U_TAU * TAU_S)
    return CaptureInput(
        key="bursts",
        point=OperatingPoint(Mode.EVENT_RELOAD, 1e6 / PERIOD_US, SUPPLY_V, "dnn"),
        role=Role.MEAN,
        stretches=(Stretch(0.0, DT_S, current, None, SUPPLY_V),),
        mark_style=MarkStyle.TEXT,
        marker_high_v=SUPPLY_V,
        expected_events=len(ran.laps),
        laps=tuple(Lap(*row) for row in ran.laps.tolist()),
        meter=exact,
        mains_hz=0.0,
        seed=1,
        burst_bound_s=LONGEST_S,
        burnt=Burnt(Signature(bracket.chip_us * 1e-6, bracket.order, bracket.seed), ran.burnt_us[0], ran.burnt_us[1]),
    )
