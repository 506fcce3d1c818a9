"""What a DMM6500 measures: integrated and digitized readings from the exact means at the node, with this unit's errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from labd_virtual.front_end import (
    Converter,
    Floats,
    Instants,
    MeterRange,
    NoiseCurve,
    drawn_timebase,
    node_means,
    peak_current,
)
from labd_virtual.instruments.keithley_dmm6500_buffers import STATUS_DIGITIZER, STATUS_FRONT, STATUS_GROUP, Buffer, Readings
from labd_virtual.instruments.keithley_dmm6500_functions import CURRENT_RANGES, VOLTAGE_RANGES, Sense, Settings, reaching
from labd_virtual.persona import PersonaSetup

OVERFLOW = 9.9e37  # p. 13-114
RATE_LEAST, RATE_MOST = 1000, 1_000_000  # p. 13-129
OVERHEAD_NS = 100_000  # assumed: from one integration to the next
ZEROING = 3  # a reading with auto-zero takes two reference readings of the same length
OVERRANGE, OVERRANGE_TOP = 1.2, 1.01  # datasheet p. 13 (AC current): 20 %, 1 % on the 3 A and 10 A ranges


def overrange(full_scale_a: float) -> float:
    """What a current range still shows, in multiples of itself."""
    return OVERRANGE if full_scale_a <= 1.0 else OVERRANGE_TOP


def _ranges(full_scales: tuple[float, ...]) -> tuple[MeterRange, ...]:
    """No noise figure of the current functions was at hand: assumed are 2 ppm of range over a line period, white up to a microsecond."""
    return tuple(MeterRange(fs, NoiseCurve((1e-6, 20e-3), (3e-4 * fs, 2e-6 * fs))) for fs in full_scales)


@dataclass(frozen=True, slots=True)
class Digitize:
    """Settings of a digitize function. aperture_us None: AUTO, the longest whole microseconds that the interval holds (p. 13-83)."""

    range: float
    rate_hz: int = 100_000
    aperture_us: int | None = None
    relative_on: bool = False
    relative: float = 0.0

    @property
    def whole_us(self) -> int:
        return max(1, 1_000_000 // self.rate_hz) if self.aperture_us is None else self.aperture_us


@dataclass(frozen=True, slots=True)
class _Plan:
    """Settings of a run, frozen at its start. apart_ns: from reading to reading."""

    function: str
    range: float
    auto_range: bool
    apart_ns: float
    aperture_ns: float
    relative: float
    bits: int


class SampleRun:
    """Equidistant readings into a buffer from an instant on; `upto` stores those that are complete."""

    def __init__(self, meter: Meter, plan: _Plan, start_ns: int, buffer: Buffer) -> None:
        self._meter, self._plan, self._start_ns, self._buffer = meter, plan, start_ns, buffer
        self._shift_ns, self._from = 0, 0
        self.stored = 0

    def complete(self, t_ns: int) -> int:
        """How many readings have ended at t_ns."""
        return max(0, int((t_ns - self._start_ns - self._shift_ns + 0.5) / self._plan.apart_ns))

    def end_ns(self, count: int) -> int:
        return self._start_ns + self._shift_ns + int(np.ceil(count * self._plan.apart_ns))

    def upto(self, count: int) -> None:
        if count > self.stored:
            self._buffer.add(self, self.stored, count - self.stored)
            self.stored = count

    def interrupt(self, gap_ns: int) -> None:
        """What comes after this comes later."""
        self._from, self._shift_ns = self.stored, gap_ns

    def at_s(self, number: int) -> float:
        shift_ns = self._shift_ns if number >= self._from else 0
        return (self._start_ns + round(number * self._plan.apart_ns) + shift_ns) * 1e-9

    def convert(self, first: int, count: int) -> Readings:
        numbers = np.arange(first, first + count + 1)
        begin = self._start_ns + np.rint(numbers * self._plan.apart_ns).astype(np.int64)
        begin += np.where(numbers >= self._from, self._shift_ns, 0)
        return self._meter.read(self._plan, begin[:-1], begin[1:], whole=first == 0)


class Meter:
    """The active function and both sets of settings."""

    def __init__(self, setup: PersonaSetup, sense: Sense, *, front: bool) -> None:
        self._setup, self._sense, self._front = setup, sense, front
        self.amps = Converter(setup, "current", _ranges(CURRENT_RANGES), hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        self.volts = Converter(setup, "voltage", _ranges(VOLTAGE_RANGES))
        self.timebase = 0.0
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, clock = rng.spawn(3)
        self.amps.redraw(amps)
        self.volts.redraw(volts)
        self.timebase = drawn_timebase(self._setup, clock)

    def reset(self) -> None:
        self.function, self.digitizing = "VOLT:DC", False
        self.count = self.digitize_count = 1
        self.digitize = {"CURR": Digitize(1.0), "VOLT": Digitize(10.0)}
        self._sense.reset()

    def change(self, function: str, **values: object) -> None:
        self.digitize[function] = replace(self.digitize[function], **values)  # type: ignore[arg-type]

    def zero(self, t_ns: int) -> None:
        self.amps.zero(t_ns)
        self.volts.zero(t_ns)

    def begin(self, buffer: Buffer, start_ns: int) -> SampleRun:
        """Readings of the active function, which later changes of a setting do not touch."""
        plan = self._digitizing() if self.digitizing else self._measuring(start_ns)
        return SampleRun(self, plan, start_ns, buffer)

    def _digitizing(self) -> _Plan:
        how, slow = self.digitize[self.function], 1 + self.timebase
        bits = STATUS_DIGITIZER | (STATUS_FRONT if self._front else 0)
        relative = how.relative if how.relative_on else 0.0
        return _Plan(self.function, how.range, False, 1e9 / how.rate_hz * slow, how.whole_us * 1e3 * slow, relative, bits)

    def _measuring(self, start_ns: int) -> _Plan:
        how, slow = self._sense.by_name[self.function], 1 + self.timebase
        integration = how.nplc / self._setup.mains_hz * 1e9
        if how.auto_zero:
            self.zero(start_ns)
        readings = how.average_count if how.average else 1
        apart = (integration * (ZEROING if how.auto_zero else 1) + OVERHEAD_NS) * readings
        bits = STATUS_FRONT if self._front else 0
        return _Plan(self.function, how.range, how.auto_range, apart * slow, integration * readings * slow, _relative(how), bits)

    def read(self, plan: _Plan, starts: Instants, nexts: Instants, *, whole: bool) -> Readings:
        touching = plan.aperture_ns >= plan.apart_ns * (1 - 1e-9)
        ends = nexts if touching else starts + max(1, round(plan.aperture_ns))
        values = self._values(plan, starts, ends)
        if plan.relative:
            values = np.where(values < OVERFLOW, values - plan.relative, values)
        bits = np.full(len(starts), float(plan.bits))
        if whole and len(bits):
            bits[0] += STATUS_GROUP
        return Readings(starts.astype(np.float64) * 1e-9, values, bits)

    def _values(self, plan: _Plan, starts: Instants, ends: Instants) -> Floats:
        name = plan.function.removesuffix(":DC")
        if name not in ("CURR", "VOLT"):
            return np.full(len(starts), OVERFLOW)  # nothing else is connected to its terminals here
        means = node_means(self._setup, starts, ends)
        if name == "VOLT":
            seen = means.voltage
            index = self.volts.index(reaching(VOLTAGE_RANGES, float(np.abs(seen).max(initial=0.0))) if plan.auto_range else plan.range)
            values = self.volts.read(seen, starts, ends, index)
            values[np.abs(seen) > OVERRANGE * VOLTAGE_RANGES[index]] = OVERFLOW
            return values
        level = peak_current(self._setup, starts, ends, means, full_scale=plan.range)
        full = reaching(CURRENT_RANGES, float(level.max(initial=0.0))) if plan.auto_range else plan.range
        values = self.amps.read(means.current, starts, ends, self.amps.index(full))
        values[(level > overrange(full) * full) | (self._setup.trap == "overflow")] = OVERFLOW
        return values


def _relative(how: Settings) -> float:
    return how.relative if how.relative_on else 0.0
