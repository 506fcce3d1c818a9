"""One channel of a virtual 2602B: its meter, its buffers, its trigger model, and the functions that make readings.

Current and voltage of an `iv` reading are taken over the same time; no page at hand says whether the real one does. How long a reading
takes besides its integration is assumed from the rates of SPEC-2602B Rev. B p. 8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labd_virtual.front_end import Converter, Instants, MeterRange, NoiseCurve, node_means, peak_current
from labd_virtual.instruments.keithley_2600b_buffers import NO_READING, Buffer, Rows, Run
from labd_virtual.instruments.keithley_2600b_events import Background, Events
from labd_virtual.instruments.keithley_2600b_lua import Function, TspError, Value
from labd_virtual.instruments.keithley_2600b_source import CURRENT_RANGES, VOLTAGE_RANGES, VOLTS, Source, reaching
from labd_virtual.instruments.keithley_2600b_things import Attributes, stored
from labd_virtual.persona import PersonaSetup

OVERHEAD_NS = 25_000
_FULL = 1.02  # of a measure range: 2600BS-901-01 Rev. F p. 2-44
_REFERENCE_EVERY = 16  # assumed: with auto-zero on, one reading of so many waits for two more conversions
_POLL_S = 0.002  # host time between looks for an edge; board time does not depend on it
_LIMITED, _AUTO_RANGED, _REMOTE = 0x40, 0x04, 0x10  # status bits: Rev. C p. 7-34
_KINDS = ("i", "v", "iv", "r", "p")


def _ranges(full_scales: tuple[float, ...]) -> tuple[MeterRange, ...]:
    """Noise is in no table for these apertures: 2 ppm of range over 20 ms and white below is plausible, not documented."""
    return tuple(MeterRange(fs, NoiseCurve((1e-5, 20e-3), (9e-5 * fs, 2e-6 * fs))) for fs in full_scales)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Settings of a run, frozen at its start."""

    auto_a: bool
    range_a: float
    range_v: float | None
    remote: bool
    connected: bool


class Channel:
    """`smua` or `smub`."""

    def __init__(self, name: str, setup: PersonaSetup, events: Events, background: Background, look: Callable[[], None]) -> None:
        self.name, self._setup, self._clock = name, setup, setup.clock
        self._events, self._background, self._look = events, background, look
        self.wired = name == f"smu{setup.options.get('channel', 'a')}"
        self.source = Source(setup, wired=self.wired)
        leakage, hum = (setup.fixture_leakage_a, setup.factor("hum_a", 0.2e-6)) if self.wired else (0.0, 0.0)
        self.amps = Converter(setup, "current", _ranges(CURRENT_RANGES), hum=hum, leakage=leakage)
        self.volts = Converter(setup, "voltage", _ranges(VOLTAGE_RANGES))
        self.timebase = 0.0
        self.on_nplc: Callable[[], None] = lambda: None
        self.buffers = [Buffer(f"{name}.nvbuffer{k}", look) for k in (1, 2)]
        self.armed_event, self.idle_event, self.measured_event = events.issue(), events.issue(), events.issue()
        self.run: Run | None = None
        self.sweeping, self.waiting = False, False
        self.reset()
        events.listen(lambda: self.stimulus if self.waiting else -1.0, self._armed)

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, source = rng.spawn(3)
        self.amps.redraw(amps)
        self.volts.redraw(volts)
        self.source.redraw(source)

    def reset(self) -> None:
        self.abort()
        self.source.reset()
        self.count, self.interval_s, self.nplc, self.delay_s, self.auto_zero = 1, 0.0, 1.0, 0.0, 2
        self.auto_a, self.auto_v, self.range_a, self.range_v = 1, 1, 100e-3, 40.0
        self.filter_on, self.filter_type, self.filter_count = 0, 0, 1
        self.stimulus, self.measure_stimulus, self.action, self.source_action = 0.0, 0.0, 0, 0
        self.trigger_count, self.arm_count = 1, 1
        self.configured: dict[str, Buffer] = {}

    # --- runs

    def advance(self, now_ns: int) -> None:
        """Bring the run to the present."""
        run = self.run
        if run is None:
            return
        run.advance(now_ns)
        if run.ended(now_ns):
            self.run = None
            swept, self.sweeping = self.sweeping, False
            if swept:
                self._events.emit(self.measured_event, run.end_ns)
                self._events.emit(self.idle_event, run.end_ns)

    def abort(self) -> None:
        now = self._clock.now_ns()
        if self.run is not None:
            self.run.stop(now)
            self.run.advance(now)
        self.run, self.sweeping, self.waiting = None, False, False

    @property
    def measuring(self) -> bool:
        """An overlapped measurement that no sweep makes (Rev. F p. 9-325)."""
        return self.run is not None and not self.sweeping

    def _begin(self, kinds: dict[str, Buffer], start_ns: int) -> Run:
        starts, aperture_ns = self._starts(start_ns)
        source = self.source
        voltage = source.voltage_range if source.func == VOLTS else None if self.auto_v else self.range_v
        plan = _Plan(bool(self.auto_a), self.range_a, voltage, bool(source.remote), source.connected)
        if self.auto_zero:
            self.zero()

        def convert(first: int, last: int) -> dict[str, Rows]:
            begin = starts[first:last]
            return self._convert(plan, begin, begin + aperture_ns, first)

        count = max(1, round(0.6 * len(starts))) if self._setup.trap == "abort" and len(starts) > 1 else len(starts)
        for buffer in kinds.values():
            buffer.begin()
        return Run(starts, aperture_ns, convert, kinds, count)

    def _starts(self, start_ns: int) -> tuple[Instants, int]:
        """Each reading starts when it is scheduled, or when the one before it is done (Rev. B p. 7-207)."""
        cycle_ns = 1e9 / self._setup.mains_hz
        aperture = self.nplc * cycle_ns
        took = np.full(int(self.count), aperture + OVERHEAD_NS)
        if self.auto_zero == 2:
            took[::_REFERENCE_EVERY] += 2 * aperture
        if self._setup.trap == "slow" and self.interval_s:
            took += 0.2 * self.interval_s * 1e9 + max(0.0, self.interval_s * 1e9 - aperture - OVERHEAD_NS)
        scheduled = np.arange(len(took)) * self.interval_s * 1e9
        before = np.concatenate([[0.0], np.cumsum(took)[:-1]])
        offsets = before + np.maximum.accumulate(scheduled - before)
        first_ns = start_ns + round(max(self.delay_s, 0.0) * 1e9)
        return first_ns + np.rint(offsets * (1 + self.timebase)).astype(np.int64), max(1, round(aperture))

    def _convert(self, plan: _Plan, starts: Instants, ends: Instants, first: int) -> dict[str, Rows]:
        setup = self._setup
        count = len(starts)
        bits = np.full(count, float(_REMOTE * plan.remote + _AUTO_RANGED * plan.auto_a))
        if not self.wired:
            zeros = np.zeros(count)
            return {"i": Rows(zeros, starts, bits), "v": Rows(zeros, starts, bits)}
        means = node_means(setup, starts, ends)
        since = setup.node.clamped_since()
        limited = ends > since if since is not None else np.full(count, self.source.on and setup.trap == "compliance")
        bits = bits + _LIMITED * limited
        lead = 0.0 if plan.remote else 2 * setup.lead_ohm
        fault = 1.0 if not plan.remote else {"ok": 1.0, "open": 0.0, "swapped": -1.0}[setup.sense_fault]
        seen = means.voltage * fault + lead * means.current if plan.connected else np.zeros(count)
        flowing = means.current if plan.connected else np.zeros(count)
        range_v = reaching(VOLTAGE_RANGES, min(40.0, float(np.abs(seen).max(initial=0.0)))) if plan.range_v is None else plan.range_v
        volts = self.volts.read(seen, starts, ends, self.volts.index(range_v))
        volts[np.abs(seen) > _FULL * range_v] = NO_READING
        level = peak_current(setup, starts, ends, means, full_scale=plan.range_a) if plan.connected else np.zeros(count)
        range_a = reaching(CURRENT_RANGES, min(3.0, float(level.max(initial=0.0)))) if plan.auto_a else plan.range_a
        amps = self.amps.read(flowing, starts, ends, self.amps.index(range_a))
        amps[np.abs(level) > _FULL * range_a] = NO_READING
        if setup.trap == "overflow" and (first or count == 1):
            amps[-1] = NO_READING
        return {"i": Rows(amps, starts, bits), "v": Rows(volts, starts, bits)}

    def zero(self) -> None:
        now = self._clock.now_ns()
        self.amps.zero(now)
        self.volts.zero(now)

    # --- functions that measure

    def _buffers_of(self, kind: str, arguments: list[Value]) -> dict[str, Buffer]:
        given = [a for a in arguments if a is not None]
        if not all(isinstance(b, Buffer) for b in given) or len(given) > len(kind):
            raise TspError(5033, "Reading buffer not found within device")
        if len({id(b) for b in given}) != len(given):
            raise TspError(5040, "Cannot use same reading buffer for multiple overlapped measurements")
        return dict(zip(kind, given, strict=False))

    def _refuse_while_busy(self) -> None:
        self._look()
        if self.run is not None or self.waiting:
            raise TspError(5042, "Invalid while overlapped measure")

    def _measure(self, kind: str) -> Function:
        async def measure(arguments: list[Value]) -> list[Value]:
            self._refuse_while_busy()
            buffers = self._buffers_of(kind, arguments) if kind in ("i", "v", "iv") else {}
            run = self._begin(buffers, self._clock.now_ns())
            run.count = len(run.starts_ns)
            await self._clock.sleep_until(run.end_ns)
            run.advance(self._clock.now_ns())
            rows = run.convert(run.count - 1, run.count)
            amps, volts = float(rows["i"].values[-1]), float(rows["v"].values[-1])
            if buffers:  # what is stored is what is answered
                stored_last = {k: float(b.rows.values[-1]) for k, b in buffers.items() if len(b.rows)}
                amps, volts = stored_last.get("i", amps), stored_last.get("v", volts)
            overflow = NO_READING in (amps, volts)
            found = {"i": [amps], "v": [volts], "iv": [amps, volts], "r": [NO_READING if overflow or not amps else volts / amps]}
            found["p"] = [NO_READING if overflow else volts * amps]
            return list(found[kind])

        return measure

    def _overlapped(self, kind: str) -> Function:
        async def start(arguments: list[Value]) -> list[Value]:
            self._refuse_while_busy()
            buffers = self._buffers_of(kind, arguments)
            if len(buffers) != len(kind):
                raise TspError(1400, f"Expected at least {len(kind)} parameters")
            self._launch(buffers, self._clock.now_ns())
            return []

        return start

    def _launch(self, buffers: dict[str, Buffer], start_ns: int) -> None:
        run = self._begin(buffers, start_ns)
        self.run = run
        self._background(self._finish(run), "readings")

    async def _finish(self, run: Run) -> None:
        await self._clock.sleep_until(run.end_ns)
        if self.run is run:
            self._look()

    # --- trigger model

    def initiate(self) -> None:
        """Rev. F p. 9-263. Raises 5042 when it runs, 5060 without a configured measurement, 5063 and 5044 (Rev. C p. 7-260)."""
        self._refuse_while_busy()
        if (self.trigger_count, self.arm_count, self.measure_stimulus, self.source_action) != (1, 1, 0.0, 0):
            raise TspError(1100, "Command Unavailable")  # not built here
        if self.action and not self.configured:
            raise TspError(5060, "trigger.measure.action enabled without configuration")
        if self.action == 2 and self.auto_a:
            raise TspError(5044, "Cannot perform requested operation while current measure autorange is enabled")
        if self.action == 2 and self.auto_zero == 2:
            raise TspError(5063, "Cannot perform requested operation while measure autozero is on")
        self.sweeping, self.waiting = True, True
        if self.stimulus == 0:
            self._armed(self._clock.now_ns())
        else:
            self._background(self._wait(), "trigger model")

    async def _wait(self) -> None:
        while self.waiting:
            self._look()
            await asyncio.sleep(_POLL_S)

    def _armed(self, t_ns: int) -> None:
        self.waiting = False
        if not self.action:
            self.sweeping = False
            return
        self._launch(self.configured, t_ns)
        self._events.emit(self.armed_event, t_ns)

    # --- what TSP sees

    def declare(self) -> Attributes:
        smu = Attributes(self.name)
        self.source.declare(smu, lambda: None)
        smu.constants(AUTORANGE_OFF=0, AUTORANGE_ON=1, AUTORANGE_FOLLOW_LIMIT=2, AUTOZERO_OFF=0, AUTOZERO_ONCE=1, AUTOZERO_AUTO=2)
        smu.constants(DELAY_OFF=0, DELAY_AUTO=-1, FILTER_OFF=0, FILTER_ON=1, SOURCE_IDLE=0, SOURCE_HOLD=1)
        for k, buffer in enumerate(self.buffers, 1):
            smu.constant(f"nvbuffer{k}", buffer)
        smu.action("abort", self.abort)
        smu.action("reset", self.reset)
        self._declare_measure(smu.child("measure"))
        self._declare_trigger(smu.child("trigger"))
        return smu

    def _declare_measure(self, measure: Attributes) -> None:
        for kind in _KINDS:
            measure.function(kind, self._measure(kind))
        for kind in ("i", "v", "iv"):
            measure.function(f"overlapped{kind}", self._overlapped(kind))
        measure.number("count", lambda: self.count, lambda v: setattr(self, "count", int(v)), low=1, high=100_000)
        measure.number("interval", *stored(self, "interval_s"), low=0.0, high=1.0)
        measure.number("nplc", lambda: self.nplc, self._set_nplc, low=0.001, high=25.0)
        measure.number("delay", *stored(self, "delay_s"), low=-1.0, high=1e5)
        measure.choice("autozero", lambda: self.auto_zero, self._set_auto_zero, (0, 1, 2))
        measure.choice("autorangei", lambda: 2 if self.source.high_c else self.auto_a, self._set_auto_a, (0, 1, 2))
        measure.choice("autorangev", lambda: self.auto_v, lambda v: setattr(self, "auto_v", v), (0, 1, 2))
        measure.number("rangei", lambda: self.range_a, self._fix_amps, low=-3.03, high=3.03)
        measure.number("rangev", self._voltage_range, self._fix_volts, low=-40.4, high=40.4)
        filters = measure.child("filter")
        filters.choice("enable", *stored(self, "filter_on"), values=(0, 1))
        filters.choice("type", *stored(self, "filter_type"), values=(0, 1, 2))
        filters.number("count", *stored(self, "filter_count"), low=1, high=100)

    def _set_nplc(self, value: float) -> None:
        self.nplc = value
        self.on_nplc()

    def _set_auto_zero(self, value: int) -> None:
        if value == 1:
            self.zero()
        self.auto_zero = 2 if self._setup.trap == "autozero" else 0 if value == 1 else value

    def _set_auto_a(self, value: int) -> None:
        if self.source.high_c:
            raise TspError(5069, "Autorange locked for HighC mode")
        self.auto_a = value

    def _fix_amps(self, value: float) -> None:
        if self.source.high_c:
            raise TspError(5069, "Autorange locked for HighC mode")
        self.range_a = reaching(CURRENT_RANGES, min(abs(value), 3.0))
        self.auto_a = 1 if self._setup.trap == "autorange" else 0

    def _voltage_range(self) -> float:
        """Locked to the source range while it sources voltage (Rev. F p. 2-47)."""
        return self.source.voltage_range if self.source.func == VOLTS else self.range_v

    def _fix_volts(self, value: float) -> None:
        self.range_v, self.auto_v = reaching(VOLTAGE_RANGES, min(abs(value), 40.0)), 0

    def _declare_trigger(self, trigger: Attributes) -> None:
        trigger.action("initiate", self.initiate)
        trigger.number("count", lambda: self.trigger_count, lambda v: setattr(self, "trigger_count", int(v)), low=0, high=1e9)
        trigger.constants(ARMED_EVENT_ID=self.armed_event, IDLE_EVENT_ID=self.idle_event, MEASURE_COMPLETE_EVENT_ID=self.measured_event)
        arm = trigger.child("arm")
        self._events.stimulus(arm, self)
        arm.number("count", lambda: self.arm_count, lambda v: setattr(self, "arm_count", int(v)), low=0, high=1e9)
        measure = trigger.child("measure")
        measure.choice("action", lambda: self.action, lambda v: setattr(self, "action", v), (0, 1, 2))
        measure.number("stimulus", *stored(self, "measure_stimulus"), low=0.0, high=1e6)
        source = trigger.child("source")
        source.choice("action", lambda: self.source_action, lambda v: setattr(self, "source_action", v), (0, 1))
        for kind in ("i", "v", "iv"):
            measure.function(kind, self._configure(kind))

    def _configure(self, kind: str) -> Function:
        async def configure(arguments: list[Value]) -> list[Value]:
            buffers = self._buffers_of(kind, arguments)
            if len(buffers) != len(kind):
                raise TspError(1400, f"Expected at least {len(kind)} parameters")
            self.configured = buffers
            return []

        return configure
