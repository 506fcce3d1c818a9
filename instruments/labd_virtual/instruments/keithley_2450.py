"""Virtual Keithley 2450, 2460, 2461 or 2470 in its native SCPI command set.

Commands and behaviour: "Model 2461 Reference Manual" 2461-901-01 Rev. A, section 6, and for the others "Model 2450 Reference Manual"
2450-901-01 Rev. B, section 6, and "2470 Reference Manual" 2470-901-01 Rev. A, section 12; pages are cited where a behaviour was taken from
one. Replies of queries that the manuals show no example for (state words, number formats) follow the 2450's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np

from labd_virtual.instruments.keithley_2450_buffers import Buffers
from labd_virtual.instruments.keithley_2450_events import Events
from labd_virtual.instruments.keithley_2450_lines import Lines
from labd_virtual.instruments.keithley_2450_members import MEMBERS
from labd_virtual.instruments.keithley_2450_meter import RATE_LEAST, RATE_MOST, Meter, SampleRun
from labd_virtual.instruments.keithley_2450_model import declare_trigger
from labd_virtual.instruments.keithley_2450_source import RANGE_CLAMP, RESET_LIMIT, Source
from labd_virtual.instruments.keithley_2450_trace import Trace
from labd_virtual.instruments.keithley_2450_trigger import TriggerModel
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Boolean, Choice, Integer, Limit, Number, Text, Word
from labd_virtual.scpi_tree import Call

_STALL_EVERY, _STALL = 120, 10.0  # one in so many single readings of trigger models lasts this much longer
_EVENT_POLL_S = 0.002  # host time between looks for an edge while a model waits for one; board time does not depend on it


TRAPS = {
    "tsp": "it was left in TSP, which the next power cycle keeps, and takes no SCPI for what it means",
    "discards": "a full buffer that fills once discards every further reading without an error",
    "overflow": "a reading beyond its range is 9.9E37 and looks like any other number",
    "raises": "a measure range that it finds too high for the current limit raises the limit, with no more than a warning",
}
TRAPS_OF_READINGS = {
    "stalls": "its readings pause in the middle of a buffer without an error, and only their time stamps tell",
}
"""Of the members without a digitizer, besides `TRAPS`."""


def create(setup: PersonaSetup) -> Persona:
    """options: model (of `MEMBERS`, else 2461), trigger_line, fire_line (digital lines 1 to 6 on which `marker` and `fire` lie).
    wires: those terminals or `line<n>`.

    Raises KeyError for a model that is none of the family.
    """
    return K2450(setup, str(setup.options.get("model", "2461")))


def shown(value: float) -> str:
    """How this family prints a setting."""
    return f"{value:.7G}"


class K2450(ScpiPersona):
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup, model: str = "2461") -> None:
        super().__init__(setup, f"KEITHLEY INSTRUMENTS,MODEL {model},VIRTUAL2,1.7.12b", queue_capacity=1000)
        self.member = MEMBERS[model]
        self.source = Source(setup, self.member)
        self.meter = Meter(setup, self.source)
        self.buffers = Buffers(short=setup.trap == "discards")
        self.events = Events(self.scpi, setup.clock)
        self.lines = Lines(setup, self.background)
        self.model = TriggerModel(self)
        self.trace = Trace(self.scpi.tree, self.buffers, self.meter, self.events)
        self._ended = asyncio.Event()
        self._measured = 0
        self.redraw(setup.rng)
        scpi = self.scpi
        scpi.before, scpi.reset, scpi.trigger, scpi.finished = self.catch_up, self._reset, self._command_event, self._finished
        scpi.watch(self.events.operation, lambda: 0)
        self.events.declare(scpi.tree)
        self.lines.declare(scpi.tree)
        declare_trigger(scpi.tree, self, digitizes=self.member.digitizes)
        self._declare_system()
        self._declare_source()
        for function in ("CURR", "VOLT"):
            self._declare_sense(function)
        if self.member.digitizes:
            self._declare_digitizer()
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

    def measure(self, buffer: str | None, start_ns: int) -> SampleRun:
        run = self.digitize(buffer, start_ns)
        self._measured += 1
        if self.setup.trap == "stalls" and self._measured % _STALL_EVERY == 0:
            run.step_ns *= _STALL
        return run

    def notify(self, number: int, t_ns: int) -> None:
        self.lines.notify(number, t_ns)

    def capacity(self, buffer: str | None) -> int:
        return self.buffers.named(buffer).capacity

    def source_level(self, volt: float) -> None:
        self._apply("volt", volt)

    def output(self, *, on: bool) -> None:
        self.source.switch(on)

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
        tree.add("SYSTem:BEEPer[:IMMediate]", lambda _: None, Number("HZ", 20, 8000), Number("S", 1e-3, 100))
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
        if name in ("limit", "auto_range"):
            self._adjust()
        self.source.apply()

    def _adjust(self) -> None:
        if self.source.adjust():
            self.events.limit_moved()

    def _declare_source(self) -> None:
        tree, source = self.scpi.tree, self.source
        tree.add("SOURce[1]:FUNCtion[:MODE]", self._only_voltage, Choice("VOLTage|CURRent"))
        tree.query("SOURce[1]:FUNCtion[:MODE]", lambda _: "VOLT")
        volt = Number("V", lambda: -self._source_most(), self._source_most, 0.0)
        self._number("SOURce[1]:VOLTage[:LEVel][:IMMediate][:AMPLitude]", volt, lambda: source.volt, lambda v: self._apply("volt", v))
        self._number(
            "SOURce[1]:VOLTage:RANGe", Number("V", 0, self.member.voltage_ranges[-1]), lambda: source.range, self._set_source_range
        )
        self._switch("SOURce[1]:VOLTage:RANGe:AUTO", lambda: source.auto_range, lambda v: self._apply("auto_range", v))
        limit = Number("A", 1e-9, self.member.limit_most, RESET_LIMIT)
        self._number("SOURce[1]:VOLTage:ILIMit[:LEVel]", limit, lambda: source.limit, lambda v: self._apply("limit", v))
        tree.query("SOURce[1]:VOLTage:ILIMit[:LEVel]:TRIPped", lambda _: str(int(source.limiting())))
        tree.add("SOURce[1]:VOLTage:PROTection[:LEVel]", lambda c: self._apply("protection", c[0]), Choice(self.member.protection_words()))
        tree.query("SOURce[1]:VOLTage:PROTection[:LEVel]", lambda _: source.protection)
        tree.query("SOURce[1]:VOLTage:PROTection[:LEVel]:TRIPped", lambda _: str(int(source.protecting())))
        self._switch("SOURce[1]:VOLTage:READ:BACK", lambda: source.read_back, lambda v: setattr(source, "read_back", v))
        self._capacitance, self._delay_s = False, 0.0
        self._switch("SOURce[1]:VOLTage:HIGH:CAPacitance", lambda: self._capacitance, lambda v: setattr(self, "_capacitance", v))
        self._number("SOURce[1]:VOLTage:DELay", Number("S", 0, 10e3), lambda: self._delay_s, self._set_delay)
        self._auto_delay = True
        self._switch("SOURce[1]:VOLTage:DELay:AUTO", lambda: self._auto_delay, lambda v: setattr(self, "_auto_delay", v))
        self._switch("OUTPut[1][:STATe]", lambda: source.on, source.switch)
        tree.add("OUTPut[1]:VOLTage:SMODe", lambda c: self._apply("off_state", c[0]), Choice("NORMal|HIMPedance|ZERO|GUARd"))
        tree.query("OUTPut[1]:VOLTage:SMODe", lambda _: source.off_state)

    def _set_delay(self, seconds: float) -> None:
        self._delay_s, self._auto_delay = seconds, False

    def _only_voltage(self, call: Call) -> None:
        if call[0] != "VOLT":
            raise ScpiError(-221)  # current sourcing is not built here

    def _source_most(self) -> float:
        return self.member.voltage_most if self.source.auto_range else RANGE_CLAMP * self.source.range

    def _set_source_range(self, value: float) -> None:
        self.source.range, self.source.auto_range = _reaching(self.member.voltage_ranges, value), False
        self._adjust()
        self.source.apply()

    def _changed(self) -> None:
        """A sense setting reached the output: its clamp and where it regulates follow the active function."""
        source = self.source
        before = (source.measure_range, source.remote)
        source.measure_range, source.remote = self.meter.clamp_range(), self.meter.remote()
        if (source.measure_range, source.remote) != before:
            self._adjust()
            source.apply()

    def _set(self, function: str, *, digitizing: bool = False, **values: object) -> None:
        self.meter.change(digitizing=digitizing, function=function, **values)
        self._changed()

    def _quantity(self, function: str) -> tuple[str, tuple[float, ...], str]:
        member = self.member
        return ("CURRent", member.current_ranges, "A") if function == "CURR" else ("VOLTage", member.voltage_ranges, "V")

    def _declare_sense(self, function: str) -> None:
        name, ranges, unit = self._quantity(function)
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
        tree = self.scpi.tree
        tree.add(f"{base}:AVERage:TCONtrol", lambda c: self._set(function, filter_kind=c[0]), Choice("REPeat|MOVing"))
        tree.query(f"{base}:AVERage:TCONtrol", lambda _: self.meter.measure[function].filter_kind)
        tree.add(f"{base}:AVERage:COUNt", lambda c: self._set(function, filter_count=c[0]), Integer(1, 100, 10))
        tree.query(f"{base}:AVERage:COUNt", lambda _: str(self.meter.measure[function].filter_count))

    def _declare_digitize(self, function: str) -> None:
        name, ranges, unit = self._quantity(function)
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

    def _declare_digitizer(self) -> None:
        """What only the 2461 has; its sisters do not know the headers (-113)."""
        tree, meter = self.scpi.tree, self.meter
        for function in ("CURR", "VOLT"):
            self._declare_digitize(function)
        tree.add("[SENSe[1]:]DIGitize:FUNCtion[:ON]", lambda c: self._select(c[0], digitizing=True), Text())
        tree.query("[SENSe[1]:]DIGitize:FUNCtion[:ON]", lambda _: f'"{meter.function}"' if meter.digitizing else '"NONE"')
        tree.add("[SENSe[1]:]DIGitize:COUNt", lambda c: setattr(meter, "digitize_count", c[0]), Integer(1, 55_000_000, 1))
        tree.query("[SENSe[1]:]DIGitize:COUNt", lambda _: str(meter.digitize_count))

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
        tree.add("[SENSe[1]:]COUNt", lambda c: setattr(meter, "count", c[0]), Integer(1, 300_000, 1))
        tree.query("[SENSe[1]:]COUNt", lambda _: str(meter.count))
        tree.add("[SENSe[1]:]AZERo:ONCE", lambda _: meter.zero(self.clock.now_ns()))
        words = [Word(optional=True)] * 14
        tree.query("READ", lambda c: self._read(c, None), Text(optional=True), *words)
        tree.query("FETCh", self.trace.latest, Text(optional=True), *words)
        tree.query("MEASure", lambda c: self._read(c, None), Text(optional=True), *words)  # of the active function
        tree.add("TRACe:TRIGger", self._take, Text(optional=True))
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
        """READ? and MEASure[:<function>]?: make COUNt readings, return the last."""
        if function is not None and not self.model.running:
            self._select(function, digitizing=False)
        await self._take(call)
        return self.trace.latest(call)

    async def _take(self, call: Call) -> None:
        """TRACe:TRIGger ("2450-901-01" p. 6-124): make COUNt readings into a buffer."""
        if self.model.running:
            raise ScpiError(-221)
        buffer = self.buffers.named(call[0])
        await self.clock.sleep_until(self.source.settled_ns)
        start = self.clock.now_ns()
        run = self.meter.begin(buffer, start, self.events.buffer_full)
        count = self.meter.digitize_count if self.meter.digitizing else self.meter.count
        await self.clock.sleep_until(start + int(np.ceil(count * run.step_ns)) + 1)
        run.upto(count)


class _Aperture(Number):
    """A number, or AUTO (0 as value)."""

    __slots__ = ()

    def _named(self, word: str) -> float:
        return 0.0 if word == "AUTO" else super()._named(word)


def _reaching(ranges: tuple[float, ...], value: float) -> float:
    return next((r for r in ranges if value <= r * (1 + 1e-9)), ranges[-1])
