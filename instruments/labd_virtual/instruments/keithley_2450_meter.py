"""The measuring side of a 2450 family instrument: sense functions, ranges and apertures, and runs of readings into a buffer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from labd_virtual.front_end import Converter, Instants, MeterRange, NoiseCurve, drawn_timebase, node_means, peak_current
from labd_virtual.instruments.keithley_2450_buffers import Buffer, Readings, Stretch, status_bits
from labd_virtual.instruments.keithley_2450_source import Source
from labd_virtual.persona import PersonaSetup

OVERFLOW = 9.9e37
OVERHEAD_NS = 200_000  # assumed time between two measurements besides the integration
RATE_LEAST, RATE_MOST = 1000, 1_000_000


def _ranges(full_scales: tuple[float, ...]) -> tuple[MeterRange, ...]:
    """Noise is in no table we could read: 2 ppm of range over 16.7 ms and white from there to 1 us (0.026 % of range, about what an
    18-bit converter at 1 MS/s leaves) is a plausible choice, not a documented one."""
    return tuple(MeterRange(fs, NoiseCurve((1e-6, 16.7e-3), (2.6e-4 * fs, 2e-6 * fs))) for fs in full_scales)


@dataclass(frozen=True, slots=True)
class Sense:
    """Settings of one measure or digitize function ("CURR" or "VOLT"). aperture_s None: as long as the interval (AUTO)."""

    range: float
    auto_range: bool = True
    nplc: float = 1.0
    remote: bool = False
    auto_zero: bool = True
    average: bool = False
    filter_kind: str = "REP"
    filter_count: int = 10
    rate_hz: int = 100_000
    aperture_s: float | None = None

    def interval_ns(self, *, digitizing: bool, mains_hz: float) -> float:
        if digitizing:
            return 1e9 / self.rate_hz
        # Auto-zero adds two reference measurements of the same length to each reading.
        return self.measured_ns(mains_hz) * (3 if self.auto_zero else 1) + OVERHEAD_NS

    def measured_ns(self, mains_hz: float) -> float:
        """A repeating filter makes a reading of so many measurements; a moving one is not built here."""
        count = self.filter_count if self.average and self.filter_kind == "REP" else 1
        return self.nplc / mains_hz * 1e9 * count

    def aperture_ns(self, *, digitizing: bool, mains_hz: float) -> float:
        if not digitizing:
            return self.measured_ns(mains_hz)
        return 1e9 / self.rate_hz if self.aperture_s is None else self.aperture_s * 1e9


@dataclass(slots=True)
class SampleRun:
    """Equidistant readings from start_ns on into `buffer`; step_ns includes this unit's timebase error."""

    buffer: Buffer
    step_ns: float
    convert: Callable[[int, int], Readings]
    overflow: Callable[[], None]
    stored: int = field(default=0)

    def upto(self, count: int) -> None:
        if count > self.stored and self.buffer.add(Stretch(self.stored, count - self.stored, self.convert)):
            self.overflow()
        self.stored = max(self.stored, count)


class Meter:
    """What is measured, and how."""

    def __init__(self, setup: PersonaSetup, source: Source) -> None:
        self._setup, self._source = setup, source
        member = source.member
        self.amps = Converter(
            setup, "current", _ranges(member.current_ranges), hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a
        )
        self.volts = Converter(setup, "voltage", _ranges(member.voltage_ranges))
        self.timebase = 0.0
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, source, clock = rng.spawn(4)
        self.amps.redraw(amps)
        self.volts.redraw(volts)
        self._source.redraw(source)
        self.timebase = drawn_timebase(self._setup, clock)

    def reset(self) -> None:
        self.function, self.digitizing = "CURR", False
        self.count, self.digitize_count = 1, 1
        self.measure = {"CURR": Sense(1e-4), "VOLT": Sense(20.0)}
        self.digitize = {"CURR": Sense(1e-4, auto_range=False), "VOLT": Sense(20.0, auto_range=False)}

    def active(self) -> Sense:
        return (self.digitize if self.digitizing else self.measure)[self.function]

    def clamp_range(self) -> float | None:
        """The current range that limits the output: the fixed one of the active current function."""
        sense = self.active()
        return None if self.function != "CURR" or sense.auto_range else sense.range

    def remote(self) -> bool:
        """Remote sense is a setting of the measure function; digitize functions share it."""
        return self.measure[self.function].remote

    def change(self, *, digitizing: bool, function: str, **values: object) -> None:
        table = self.digitize if digitizing else self.measure
        table[function] = replace(table[function], **values)  # type: ignore[arg-type]

    def zero(self, t_ns: int) -> None:
        """:SENSe:AZERo:ONCE and auto-zero: the drift of the converters since their last zero goes away."""
        self.amps.zero(t_ns)
        self.volts.zero(t_ns)

    def begin(self, buffer: Buffer, start_ns: int, overflow: Callable[[], None]) -> SampleRun:
        """A run with the present settings, which later changes do not touch."""
        sense, digitizing = self.active(), self.digitizing
        mains = self._setup.mains_hz
        step = sense.interval_ns(digitizing=digitizing, mains_hz=mains) * (1 + self.timebase)
        aperture = sense.aperture_ns(digitizing=digitizing, mains_hz=mains) * (1 + self.timebase)
        plan = _Plan(
            self.function,
            sense,
            self._source.remote,
            self._source.read_back,
            self._source.volt,
            digitizing,
            self._source.connected,
            self._source.range,
        )
        if sense.auto_zero and not digitizing:
            self.zero(start_ns)

        def convert(first: int, count: int) -> Readings:
            starts = start_ns + np.rint(np.arange(first, first + count) * step).astype(np.int64)
            edges = start_ns + np.rint(np.arange(first + 1, first + count + 1) * step).astype(np.int64)
            ends = edges if aperture >= step * (1 - 1e-9) else starts + max(1, round(aperture))
            return self._read(plan, starts, ends, whole=first == 0)

        return SampleRun(buffer, step, convert, overflow)

    def _read(self, plan: _Plan, starts: Instants, ends: Instants, *, whole: bool) -> Readings:
        means = node_means(self._setup, starts, ends)
        at_s = starts.astype(np.float64) * 1e-9
        bits = status_bits(len(starts), digitized=plan.digitizing)
        if not whole and len(bits):
            bits[0] -= 256  # only the first reading of a run starts a group
        lead = 0.0 if plan.remote else 2 * self._setup.lead_ohm
        fault = 1.0 if not plan.remote else {"ok": 1.0, "open": 0.0, "swapped": -1.0}[self._setup.sense_fault]
        seen = means.voltage * fault + lead * means.current if plan.connected else np.zeros(len(starts))
        if plan.function == "VOLT":
            range_v = float(np.abs(seen).max(initial=0.0)) if plan.sense.auto_range else plan.sense.range
            index = self.volts.index(range_v)
            values = self.volts.read(seen, starts, ends, index)
            values[self.volts.overloaded(seen, index)] = OVERFLOW
        else:
            level = peak_current(self._setup, starts, ends, means, full_scale=plan.sense.range)
            range_a = float(level.max(initial=0.0)) / 1.05 if plan.sense.auto_range else plan.sense.range
            index = self.amps.index(range_a)
            values = self.amps.read(means.current, starts, ends, index)
            values[self.amps.overloaded(level, index) | (self._setup.trap == "overflow")] = OVERFLOW
        if not plan.read_back:
            return Readings(at_s, values, np.full(len(starts), plan.volt), bits)
        return Readings(at_s, values, self.volts.read(seen, starts, ends, self.volts.index(plan.source_range)), bits)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Settings of a run, frozen at its start."""

    function: str
    sense: Sense
    remote: bool
    read_back: bool
    volt: float
    digitizing: bool
    connected: bool
    source_range: float
