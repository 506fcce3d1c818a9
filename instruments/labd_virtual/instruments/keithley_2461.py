"""Virtual Keithley 2461 in its native SCPI command set.

Commands and behaviour: "Model 2461 Reference Manual" 2461-901-01 Rev. A, section 6; pages are cited where a behaviour was taken from one.
Replies of queries the manual shows no example for (state words, number formats) follow the 2450's manual of the same family.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np

from labd_virtual.instruments.keithley_2461_buffers import Buffers
from labd_virtual.instruments.keithley_2461_events import Events
from labd_virtual.instruments.keithley_2461_lines import Lines
from labd_virtual.instruments.keithley_2461_meter import RATE_LEAST, RATE_MOST, Meter, SampleRun
from labd_virtual.instruments.keithley_2461_model import declare_trigger
from labd_virtual.instruments.keithley_2461_source import (
    CURRENT_RANGES,
    LIMIT_MAX,
    RANGE_CLAMP,
    VOLTAGE_MAX,
    VOLTAGE_RANGES,
    Source,
)
from labd_virtual.instruments.keithley_2461_trace import Trace
from labd_virtual.instruments.keithley_2461_trigger import TriggerModel
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Boolean, Choice, Integer, Limit, Number, Text, Word
from labd_virtual.scpi_tree import Call

IDENTITY = "KEITHLEY INSTRUMENTS,MODEL 2461,VIRTUAL2,1.7.12b"
_EVENT_POLL_S = 0.002  # host time between looks for an edge while a model waits for one; board time does not depend on it
_PROTECTIONS = "PROT2|PROT5|PROT10|PROT20|PROT40|PROT60|PROT80|PROT100|NONE"


TRAPS = {
    "tsp": "it was left in TSP, which the next power cycle keeps, and takes no SCPI for what it means",
    "discards": "a full buffer that fills once discards every further reading without an error",
    "overflow": "a reading beyond its range is 9.9E37 and looks like any other number",
}


def create(setup: PersonaSetup) -> Persona:
    """options: trigger_line, fire_line (digital lines 1 to 6 on which the terminals `marker` and `fire` lie). wires: those or `line<n>`."""
    return K2461(setup)


def shown(value: float) -> str:
    """How this family prints a setting."""
    return f"{value:.7G}"


class K2461(ScpiPersona):
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        super().__init__(setup, IDENTITY, queue_capacity=1000)
        self.source = Source(setup)
        self.meter = Meter(setup, self.source)
        self.buffers = Buffers(short=setup.trap == "discards")
        self.events = Events(self.scpi, setup.clock)
        self.lines = Lines(setup, self.background)
        self.model = TriggerModel(self)
        self.trace = Trace(self.scpi.tree, self.buffers, self.meter, self.events)
        self._ended = asyncio.Event()
        self.redraw(setup.rng)
        scpi = self.scpi
        scpi.before, scpi.reset, scpi.trigger, scpi.finished = self.catch_up, self._reset, self._command_event, self._finished
        scpi.watch(self.events.operation, lambda: 0)
        self.events.declare(scpi.tree)
        self.lines.declare(scpi.tree)
        declare_trigger(scpi.tree, self)
        self._declare_system()
        self._declare_source()
        for function in ("CURR", "VOLT"):
            self._declare_sense(function)
            self._declare_digitize(function)
        self._declare_measure()

    def redraw(self, rng: np.random.Generator) -> None:
        self.meter.redraw(rng)

    def output_on(self) -> bool:
        return self.source.on

    # --- what blocks of the trigger model need (Stage)

    def clear(self, buffer: str | None) -> None:
        self.buffers.named(buffer).clear()

    def digitize(self, buffer: str | None, start_ns: int) -> SampleRun:
        return self.meter.begin(self.buffers.named(buffer), start_ns, self.events.buffer_full)

    measure = digitize

    def notify(self, number: int, t_ns: int) -> None:
        self.lines.notify(number, t_ns)

    def capacity(self, buffer: str | None) -> int:
        return self.buffers.named(buffer).capacity

    def find_events(self, name: str, start_ns: int, end_ns: int) -> list[int]:
        return self.lines.events(name, start_ns, end_ns)

    # --- what happens between commands

    def catch_up(self) -> None:
        """Bring the trigger model to the present, and let time pass while a finite stage of it is under way."""
        was_running = self.model.running
        self.model.advance(self.clock.now_ns())
        if was_running and not self.model.running:
            self._ended.set()
            self.events.note(2732 if self.model.state == "IDLE" else 2730)

    def initiate(self) -> None:
        """Raises ScpiError(-221) when the blocks digitize although no digitize function is selected, or the other way about."""
        kinds = {b.kind for b in self.model.blocks.values()}
        if ("DIG" in kinds and not self.meter.digitizing) or ("MEAS" in kinds and self.meter.digitizing):
            raise ScpiError(-221)
        self.lines.forget()
        self._ended.clear()
        self.events.note(2731)
        self.model.initiate(self.clock.now_ns())
        self.background(self._push(), "trigger model")

    def abort(self) -> None:
        if self.model.running:
            self.model.abort(self.clock.now_ns())
            self._ended.set()
            self.events.note(2728)

    async def _push(self) -> None:
        while True:
            self.catch_up()
            wake = self.model.next_ns()
            if not self.model.running:
                return
            if wake is None or wake <= self.clock.now_ns():
                await asyncio.sleep(_EVENT_POLL_S)
            else:
                await self.clock.sleep_until(wake)

    async def _finished(self) -> None:
        await self.clock.sleep_until(self.source.settled_ns)
        if self.model.running:
            await self._ended.wait()

    def _command_event(self) -> None:
        self.lines.note("COMM", self.clock.now_ns())
        self.catch_up()

    def _reset(self) -> None:
        self.abort()
        self.model.load({})
        self.source.reset()
        self.meter.reset()
        self.buffers.reset()
        self.lines.reset()
        self.trace.reset()
        self.scpi.questionable.preset()

    # --- commands

    def _number(self, pattern: str, kind: Number, read: Callable[[], float], write: Callable[[float], None]) -> None:
        self.scpi.tree.add(pattern, lambda c: write(c[0]), kind)
        self.scpi.tree.query(pattern, lambda c: shown(read() if c[0] is None else kind.limit(c[0])), Limit())

    def _switch(self, pattern: str, read: Callable[[], bool], write: Callable[[bool], None]) -> None:
        self.scpi.tree.add(pattern, lambda c: write(c[0]), Boolean())
        self.scpi.tree.query(pattern, lambda _: str(int(read())))

    def _declare_system(self) -> None:
        tree = self.scpi.tree
        tree.query("*LANG", lambda _: "TSP" if self.setup.trap == "tsp" else "SCPI")
        tree.add("*LANG", self._language, Word())
        tree.query("SYSTem:LFRequency", lambda _: f"{self.setup.mains_hz:.0f}")
        tree.query("SYSTem:VERSion", lambda _: "1996.0")
        tree.add("ROUTe:TERMinals", self._set_terminals, Choice("FRONt|REAR"))
        tree.query("ROUTe:TERMinals", lambda _: self._terminals)
        self._terminals = "FRON"

    def _language(self, call: Call) -> None:
        if call[0] != "SCPI":
            raise ScpiError(-224)  # another command set needs a power cycle; none is built here

    def _set_terminals(self, call: Call) -> None:
        if call[0] != self._terminals:
            self.source.switch(on=False)
        self._terminals = call[0]

    def _apply(self, name: str, value: object) -> None:
        setattr(self.source, name, value)
        self.source.apply()

    def _declare_source(self) -> None:
        tree, source = self.scpi.tree, self.source
        tree.add("SOURce[1]:FUNCtion[:MODE]", self._only_voltage, Choice("VOLTage|CURRent"))
        tree.query("SOURce[1]:FUNCtion[:MODE]", lambda _: "VOLT")
        volt = Number("V", -VOLTAGE_MAX, self._source_most, 0.0)
        self._number("SOURce[1]:VOLTage[:LEVel][:IMMediate][:AMPLitude]", volt, lambda: source.volt, lambda v: self._apply("volt", v))
        self._number("SOURce[1]:VOLTage:RANGe", Number("V", 0, 100.0), lambda: source.range, self._set_source_range)
        self._switch("SOURce[1]:VOLTage:RANGe:AUTO", lambda: source.auto_range, lambda v: self._apply("auto_range", v))
        limit = Number("A", 1e-9, LIMIT_MAX, 1.05e-4)
        self._number("SOURce[1]:VOLTage:ILIMit[:LEVel]", limit, lambda: source.limit, lambda v: self._apply("limit", v))
        tree.query("SOURce[1]:VOLTage:ILIMit[:LEVel]:TRIPped", lambda _: str(int(source.limiting())))
        tree.add("SOURce[1]:VOLTage:PROTection[:LEVel]", lambda c: self._apply("protection", c[0]), Choice(_PROTECTIONS))
        tree.query("SOURce[1]:VOLTage:PROTection[:LEVel]", lambda _: source.protection)
        tree.query("SOURce[1]:VOLTage:PROTection[:LEVel]:TRIPped", lambda _: str(int(source.protecting())))
        self._switch("SOURce[1]:VOLTage:READ:BACK", lambda: source.read_back, lambda v: setattr(source, "read_back", v))
        self._capacitance, self._delay_s = False, 0.0
        self._switch("SOURce[1]:VOLTage:HIGH:CAPacitance", lambda: self._capacitance, lambda v: setattr(self, "_capacitance", v))
        self._number("SOURce[1]:VOLTage:DELay", Number("S", 0, 10e3), lambda: self._delay_s, lambda v: setattr(self, "_delay_s", v))
        self._switch("OUTPut[1][:STATe]", lambda: source.on, source.switch)
        tree.add("OUTPut[1]:VOLTage:SMODe", lambda c: self._apply("off_state", c[0]), Choice("NORMal|HIMPedance|ZERO|GUARd"))
        tree.query("OUTPut[1]:VOLTage:SMODe", lambda _: source.off_state)

    def _only_voltage(self, call: Call) -> None:
        if call[0] != "VOLT":
            raise ScpiError(-221)  # current sourcing is not built here

    def _source_most(self) -> float:
        return VOLTAGE_MAX if self.source.auto_range else RANGE_CLAMP * self.source.range

    def _set_source_range(self, value: float) -> None:
        self.source.range, self.source.auto_range = _reaching(VOLTAGE_RANGES, value), False
        self.source.apply()

    def _changed(self) -> None:
        """A sense setting reached the output: its clamp and where it regulates follow the active function."""
        source = self.source
        before = (source.measure_range, source.remote)
        source.measure_range, source.remote = self.meter.clamp_range(), self.meter.remote()
        if (source.measure_range, source.remote) != before:
            source.apply()

    def _set(self, function: str, *, digitizing: bool = False, **values: object) -> None:
        self.meter.change(digitizing=digitizing, function=function, **values)
        self._changed()

    def _declare_sense(self, function: str) -> None:
        name, ranges, unit = ("CURRent", CURRENT_RANGES, "A") if function == "CURR" else ("VOLTage", VOLTAGE_RANGES, "V")
        base = f"[SENSe[1]:]{name}[:DC]"
        self._number(
            f"{base}:RANGe[:UPPer]",
            Number(unit, 0, ranges[-1]),
            lambda: self.meter.measure[function].range,
            lambda v: self._set(function, range=_reaching(ranges, v), auto_range=False),
        )
        self._switch(f"{base}:RANGe:AUTO", lambda: self.meter.measure[function].auto_range, lambda v: self._set(function, auto_range=v))
        self._number(
            f"{base}:NPLCycles", Number("", 0.01, 10, 1.0), lambda: self.meter.measure[function].nplc, lambda v: self._set(function, nplc=v)
        )
        self._switch(f"{base}:RSENse", lambda: self.meter.measure[function].remote, lambda v: self._set(function, remote=v))
        self._switch(f"{base}:AZERo[:STATe]", lambda: self.meter.measure[function].auto_zero, lambda v: self._set(function, auto_zero=v))
        self._switch(f"{base}:AVERage[:STATe]", lambda: self.meter.measure[function].average, lambda v: self._set(function, average=v))

    def _declare_digitize(self, function: str) -> None:
        name, ranges, unit = ("CURRent", CURRENT_RANGES, "A") if function == "CURR" else ("VOLTage", VOLTAGE_RANGES, "V")
        base = f"[SENSe[1]:]DIGitize:{name}"
        meter, tree = self.meter, self.scpi.tree
        self._number(
            f"{base}:RANGe[:UPPer]",
            Number(unit, 0, ranges[-1]),
            lambda: meter.digitize[function].range,
            lambda v: self._set(function, digitizing=True, range=_reaching(ranges, v)),
        )
        rate = Number("HZ", RATE_LEAST, RATE_MOST)
        self._number(f"{base}:SRATe", rate, lambda: meter.digitize[function].rate_hz, lambda v: self._set_rate(function, v))
        tree.add(f"{base}:APERture", lambda c: self._set_aperture(function, c[0]), _Aperture("S", 1e-6, 1e-3))
        tree.query(f"{base}:APERture", lambda _: shown(meter.digitize[function].aperture_s or 1 / meter.digitize[function].rate_hz))
        self._switch(f"{base}:RSENse", lambda: meter.measure[function].remote, lambda v: self._set(function, remote=v))

    def _set_rate(self, function: str, rate_hz: float) -> None:
        """A rate that the aperture does not fit into makes the aperture AUTO."""
        aperture = self.meter.digitize[function].aperture_s
        keep = aperture if aperture is not None and aperture * rate_hz <= 1 + 1e-9 else None
        self._set(function, digitizing=True, rate_hz=round(rate_hz), aperture_s=keep)

    def _set_aperture(self, function: str, aperture_s: float) -> None:
        rate = self.meter.digitize[function].rate_hz
        if aperture_s * rate > 1 + 1e-9:
            raise ScpiError(-222)
        self._set(function, digitizing=True, aperture_s=aperture_s or None)

    def _declare_measure(self) -> None:
        tree, meter = self.scpi.tree, self.meter
        tree.add("[SENSe[1]:]FUNCtion[:ON]", lambda c: self._select(c[0], digitizing=False), Text())
        tree.query("[SENSe[1]:]FUNCtion[:ON]", lambda _: '"NONE"' if meter.digitizing else f'"{meter.function}:DC"')
        tree.add("[SENSe[1]:]DIGitize:FUNCtion[:ON]", lambda c: self._select(c[0], digitizing=True), Text())
        tree.query("[SENSe[1]:]DIGitize:FUNCtion[:ON]", lambda _: f'"{meter.function}"' if meter.digitizing else '"NONE"')
        tree.add("[SENSe[1]:]COUNt", lambda c: setattr(meter, "count", c[0]), Integer(1, 300_000, 1))
        tree.query("[SENSe[1]:]COUNt", lambda _: str(meter.count))
        tree.add("[SENSe[1]:]DIGitize:COUNt", lambda c: setattr(meter, "digitize_count", c[0]), Integer(1, 55_000_000, 1))
        tree.query("[SENSe[1]:]DIGitize:COUNt", lambda _: str(meter.digitize_count))
        tree.add("[SENSe[1]:]AZERo:ONCE", lambda _: meter.zero(self.clock.now_ns()))
        words = [Word(optional=True)] * 14
        tree.query("READ", lambda c: self._read(c, None), Text(optional=True), *words)
        tree.query("FETCh", self.trace.latest, Text(optional=True), *words)
        for function, name in (("CURR", "CURRent"), ("VOLT", "VOLTage")):
            tree.query(f"MEASure:{name}[:DC]", partial(self._measure, function), Text(optional=True), *words)

    def _select(self, name: str, *, digitizing: bool) -> None:
        """A new function clears the active buffers (2461-901-01 p. 2-100)."""
        word = name.upper().removesuffix(":DC")
        function = {"CURR": "CURR", "CURRENT": "CURR", "VOLT": "VOLT", "VOLTAGE": "VOLT"}.get(word)
        if function is None:
            raise ScpiError(-224)
        if self.model.running:
            raise ScpiError(-221)
        meter = self.meter
        if (meter.function, meter.digitizing) != (function, digitizing):
            self.buffers.named(None).clear()
        meter.function, meter.digitizing = function, digitizing
        self._changed()

    async def _measure(self, function: str, call: Call) -> str:
        return await self._read(call, function)

    async def _read(self, call: Call, function: str | None) -> str:
        """READ? and MEASure:<function>?: make COUNt readings, return the last."""
        if self.model.running:
            raise ScpiError(-221)
        if function is not None:
            self._select(function, digitizing=False)
        buffer = self.buffers.named(call[0])
        await self.clock.sleep_until(self.source.settled_ns)
        start = self.clock.now_ns()
        run = self.meter.begin(buffer, start, self.events.buffer_full)
        count = self.meter.digitize_count if self.meter.digitizing else self.meter.count
        await self.clock.sleep_until(start + int(np.ceil(count * run.step_ns)) + 1)
        run.upto(count)
        return self.trace.latest(call)


class _Aperture(Number):
    """A number, or AUTO (0 as value)."""

    __slots__ = ()

    def _named(self, word: str) -> float:
        return 0.0 if word == "AUTO" else super()._named(word)


def _reaching(ranges: tuple[float, ...], value: float) -> float:
    return next((r for r in ranges if value <= r * (1 + 1e-9)), ranges[-1])
