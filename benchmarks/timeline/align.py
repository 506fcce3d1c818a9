"""The alignment of captures without a line, by the signatures alone and the board's own laps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.timeline.board import TAU_S, TOLERANCE, U_TAU, Board, Conditions, Program, Ran
from benchmarks.timeline.meter import Meter, Record, recorded, sampled
from benchmarks.timeline.verdict import Aligned, Draws
from labd.records import Bracket, Mode
from labd.segment.bracketed import Burnt, Placed, Recorded, find_pair, place_bracketed
from labd.segment.bursts import Bursts, find_bursts
from labd.segment.clocks import FloatArray
from labd.segment.edges import EdgeSeries
from labd.segment.errors import SegmentError
from labd.segment.signature import Path, Signature
from labd_virtual.wander import SHAPES

EVENTS = 12
PERIOD_US = 60_000
MODES = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP, Mode.EVENT_RELOAD)
RATE, RATE_SLOW = 0.02, 0.05  # limits of the counter's error; the second of a low-frequency oscillator
WANDER = 500e-6  # of the rate, from its lowest to its highest within a capture, in any of SHAPES
WAY_S = 5e-6  # limit by which the ways from a timer to the current of an event and of a chip differ
FAST_S, SLOW_S = 10e-6, 204.8e-6
TIMEBASE = 50e-6  # limit of the meter's clock error
NOISE = 0.01
DELAY_S = (8e-6, 150e-6)
SMOOTH_S = 50e-6
DRAWS = Draws(1)


@dataclass(slots=True)
class Alignments:
    """By instrument, and by which method how many captures were placed."""

    quick: Aligned = field(default_factory=lambda: Aligned("100 kSa/s, delay 8 to 10 us", 1.0, judged_at_instants=True))
    fast: Aligned = field(default_factory=lambda: Aligned("100 kSa/s, delay 8 to 150 us", 1.0, judged_at_instants=False))
    slow: Aligned = field(default_factory=lambda: Aligned("204.8 us records, delay 8 to 150 us", 0.5, judged_at_instants=False))
    # a range that changes within an edge takes some records of it away
    ranging: Aligned = field(
        default_factory=lambda: Aligned("100 kSa/s, range changes in each burst", 1.0, judged_at_instants=False, share=0.95)
    )
    methods: Counter[str] = field(default_factory=Counter)

    def all(self) -> tuple[Aligned, ...]:
        return self.quick, self.fast, self.slow, self.ranging

    def join(self, other: Alignments) -> None:
        """More captures."""
        for own, more in zip(self.all(), other.all(), strict=True):
            own.join(more)
        self.methods += other.methods


async def align(board: Board, number: int, rng: np.random.Generator, found: Alignments) -> None:
    """One capture: the board runs once, four instruments record it; those of one record length share their sampler."""
    slow_clock = number % 4 == 3
    conditions = drawn(number, rng, slow_clock=slow_clock)
    bracket = Bracket(2500, 6, int(rng.integers(1, 64)))
    ran = await board.run(conditions, Program(bracket, EVENTS, PERIOD_US), seed=int(rng.integers(1 << 32)))
    # the virtual board's current follows its timers at once; a real one's comes later, and not by as much after a wake-up as in a chip
    way_s = float(rng.uniform(-WAY_S, WAY_S))
    under_one = (DELAY_S[0], FAST_S)
    instruments = (
        (found.quick, FAST_S, under_one),
        (found.fast, FAST_S, DELAY_S),
        (found.slow, SLOW_S, DELAY_S),
        (found.ranging, FAST_S, DELAY_S),
    )
    timebase = float(rng.uniform(-TIMEBASE, TIMEBASE))
    seen = {dt_s: sampled(board.node, ran.span_ns, dt_s=dt_s, timebase=timebase, rng=rng) for dt_s in (FAST_S, SLOW_S)}
    for aligned, dt_s, delay_s in instruments:
        meter = _meter(dt_s, delay_s, timebase, rng, glitches=aligned is found.ranging)
        record = recorded(seen[dt_s], meter, rng)
        which = int(rng.integers(2 * EVENTS))
        try:
            placed = place(record, ran, bracket, conditions, way_s=way_s, slow_clock=slow_clock)
        except SegmentError as error:
            aligned.failed.append(f"capture {number}, {conditions}: {error}")
            continue
        found.methods[placed.method] += 1
        judge(aligned, record, ran, placed, delay_s=delay_s, which=which)


def drawn(number: int, rng: np.random.Generator, *, slow_clock: bool) -> Conditions:
    mode = MODES[number % 3]
    lasts_s = 2 * 0.18 + (EVENTS + 1) * PERIOD_US * 1e-6
    return Conditions(
        mode=mode,
        rate_error=float(rng.uniform(-1, 1)) * (RATE_SLOW if slow_clock else RATE),
        wander=WANDER,
        wander_s=float(rng.uniform(0.7, 3.0)) * lasts_s,
        shape=SHAPES[int(rng.integers(len(SHAPES)))],
        stops=mode.is_event and bool(rng.integers(3) == 0),
        idle_s=float(rng.uniform(0.02, 1.0)),
        capacitance=1 + TOLERANCE * float(rng.uniform(-1, 1)),
    )


def _meter(dt_s: float, delay_s: tuple[float, float], timebase: float, rng: np.random.Generator, *, glitches: bool) -> Meter:
    """A group delay drawn within its limits; of half of the meters a part of it is that of a digital filter."""
    delay = float(rng.uniform(*delay_s))
    filtered = float(rng.uniform(0, min(delay / dt_s, 8.0))) if rng.integers(2) else 0.0
    return Meter(dt_s, delay - filtered * dt_s, filtered, timebase, NOISE, glitches=glitches)


def place(record: Record, ran: Ran, bracket: Bracket, conditions: Conditions, *, way_s: float, slow_clock: bool) -> Placed:
    """As the analysis of a capture does it: told the pattern, the counter's instants, and the limits of what it cannot know."""
    dt_s, rate_limit = record.meter.dt_s, RATE_SLOW if slow_clock else RATE
    burnt = Burnt(Signature(bracket.chip_us * 1e-6, bracket.order, bracket.seed), ran.burnt_us[0], ran.burnt_us[1])
    pair = find_pair(record.power, burnt, dt_s=dt_s, path=Path(TAU_S, U_TAU * TAU_S), rate_limit=rate_limit)
    bursts = find_bursts(record.power, tau_records=TAU_S / dt_s, smooth_records=max(1, round(SMOOTH_S / dt_s)))
    bursts = later(pair.sharpened(record.power, bursts, tau_records=TAU_S / dt_s), way_s / dt_s)
    return place_bracketed(pair, Recorded(record.power, dt_s, TAU_S), bursts, ran.laps, always_on=conditions.mode is Mode.ALWAYS_ON)


def later(bursts: Bursts, records: float) -> Bursts:
    """As of a board on which the current of events comes so much later after the instants of its counter than that of chips."""
    rise, fall = (EdgeSeries(edge.x + records, edge.u) for edge in (bursts.rise, bursts.fall))
    return replace(bursts, rise=rise, fall=fall)


def judge(aligned: Aligned, record: Record, ran: Ran, placed: Placed, *, delay_s: tuple[float, float], which: int) -> None:
    """Against the physics' own edges of each inference, where a chip of the same instant would show. which: the one edge that stands for
    its capture in the coverage."""
    true_ns = np.array([(e["start_ns"], e["end_ns"]) for e in ran.truth], dtype=np.float64).ravel()
    x, u = (_both(placed, name) for name in ("x", "u"))
    shown = x - record.place(true_ns, delayed=True)
    # labd is not told the delay: an instant lies ahead of its place by the middle of what the delay may be, give or take the rest
    middle, limit = sum(delay_s) / 2 / record.meter.dt_s, (delay_s[1] - delay_s[0]) / 2 / record.meter.dt_s
    happened = x - middle - record.place(true_ns, delayed=False)
    aligned.worst_on_samples.append(float(np.abs(shown).max()))
    aligned.worst_at_instants.append(float(np.abs(happened).max()))
    aligned.said.append(float(np.median(u)))
    # what is shared has limits: of the supply path's time constant, and of the way from a timer to the current
    shared = min(float(np.hypot(placed.clock.u_shared, way_left(placed))), float(u[which]))
    own, path = float(np.sqrt(max(u[which] ** 2 - shared**2, 0.0))), float(np.sqrt(3)) * shared
    aligned.on_samples.add(error=float(shown[which]), half_width=DRAWS.half_width(own, path))
    aligned.at_instants.add(error=float(happened[which]), half_width=DRAWS.half_width(own, path, limit))


def way_left(placed: Placed) -> float:
    """Standard uncertainty, records, of what the signatures leave open of the way that all bursts have in common. It is in the clock's
    shared part where the bursts' own ends place the laps."""
    line = placed.timeline
    if line is None or not len(line.ties):
        return 0.0
    return float(line.displaced[1] ** 2 / line.ties.u_alike)  # the estimate takes away the rest: 1 - u_displaced**2 / u_alike**2 of it


def _both(placed: Placed, name: str) -> FloatArray:
    return np.column_stack([getattr(placed.instants[k], name) for k in (3, 4)]).ravel()
