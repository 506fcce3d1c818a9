"""Virtual Keithley 2400 series SourceMeter (2400, 2410, 2420, 2430, 2440) in its classic SCPI.

Commands and behaviour: "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K; pages are cited where a behaviour was taken from one.
Number formats follow its figure 18-1; a range reads back as what it holds (its *RST values are 1.05E-4 and 21, p. 18-12).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

import numpy as np

from labd_virtual.front_end import Floats, Instants
from labd_virtual.instruments.keithley_2400_meter import Meter
from labd_virtual.instruments.keithley_2400_source import BEYOND_COMPLIANCE, MODELS, OVER, Source, reaching
from labd_virtual.instruments.keithley_2400_trace import Buffer, Trace, shown
from labd_virtual.instruments.keithley_2400_trigger import Trigger
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Boolean, Choice, Integer, Limit, Number, Parameter, Raw, Text
from labd_virtual.scpi_status import RegisterGroup
from labd_virtual.scpi_tree import Action, Call, Reply

TRAPS = {
    "nan": "a reading that it does not have is 9.91E37, in a reply and in the buffer, and looks like any other number",
    "compliance": "in compliance a reading is the limit and no measurement, and only a bit of the status word says so",
    "late": "a reading that takes longer than the timer's interval misses the next one without an error",
    "old_size": "the buffer keeps the size that another program gave it, and a reset does not touch it",
    "byte_order": "the byte order of its blocks stays another program's when it is set while the format is ASCII, without an error",
    "ascii_only": "over RS-232 it has no binary format, and thousands of readings in ASCII take longer than any time-out",
    "elements": "its readings have the elements that another program chose, so that every value lies elsewhere",
    "auto_off": "its output switches itself off after every reading as long as the automatic output-off is on",
    "interlock": "the output enable line keeps its output off, and a reading with the output off is refused",
}

_EVENT_POLL_S = 0.002  # host time between looks for an event while a command waits for one; board time does not depend on it
_OUTPUT_OFF = (803, "Not permitted with OUTPUT off")
_OFF_STATES = "HIMPedance|NORMal|ZERO|GUARd"
_FUNCTIONS = {"VOLT": "VOLT", "VOLTAGE": "VOLT", "CURR": "CURR", "CURRENT": "CURR", "RES": "RES", "RESISTANCE": "RES"}


def create(setup: PersonaSetup) -> Persona:
    """options: model (of `MODELS`, else 2400). wires: `line1` to `line4`, the trigger link's lines."""
    return K2400(setup, str(setup.options.get("model", "2400")))


class K2400(ScpiPersona):
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup, model: str = "2400") -> None:
        identity = f"KEITHLEY INSTRUMENTS INC.,MODEL {model},VIRTUAL,C30   Mar 17 2006 09:29:29/A02  /K/J"  # p. 16-3
        super().__init__(setup, identity, queue_capacity=10)
        self.source = Source(setup, MODELS[model])
        self.meter = Meter(setup, self.source)
        self.buffer = Buffer(trap=setup.trap)
        self.trace = Trace(setup.trap, self.buffer)
        self.trigger = Trigger(setup, self.meter.cycle_ns, self._measured, self._ended)
        self.latest: Floats = np.zeros((0, 5))
        self._measurement = RegisterGroup(self._conditions)
        self._other: dict[str, object] = {}
        self.redraw(setup.rng)
        scpi = self.scpi
        scpi.before, scpi.reset, scpi.trigger, scpi.finished = self._advance, self._reset, self._bus_trigger, self._until_idle
        self._declare_common(identity)
        self._declare_system()
        self._declare_source()
        self._declare_sense()
        self._declare_readings()
        self.trace.declare(self._add, self._query)
        self.trigger.declare(self._add, self._query)

    def redraw(self, rng: np.random.Generator) -> None:
        self.meter.redraw(rng)
        self.trigger.timebase = self.meter.timebase

    def output_on(self) -> bool:
        return self.source.on

    # --- what happens between commands

    def _advance(self) -> None:
        self.trigger.advance(self.clock.now_ns())

    def _measured(self, starts: Instants) -> None:
        rows = self.meter.read(starts)
        self.latest = np.concatenate([self.latest, rows])
        self.buffer.store(rows)

    def _ended(self) -> None:
        if self.source.auto_off:
            self.source.switch(on=False)

    def _bus_trigger(self) -> None:
        self.trigger.bus(self.clock.now_ns())
        self._advance()

    def _initiate(self, _: Call | None = None) -> None:
        """Raises ScpiError(803) with the output off (p. 18-72)."""
        if not self.source.on and not self.source.auto_off:
            raise ScpiError(*_OUTPUT_OFF)
        if not self.source.on:
            self.source.switch(on=True)
        self.latest = np.zeros((0, 5))
        self.trigger.initiate(self.clock.now_ns())

    def _abort(self, _: Call | None = None) -> None:
        self.trigger.abort()

    async def _until_idle(self) -> None:
        """Let time pass until the trigger model is idle; an event has to come from outside."""
        while True:
            self._advance()
            if not self.trigger.running:
                return
            wake = self.trigger.wake_ns()
            if wake is None or wake <= self.clock.now_ns():
                await asyncio.sleep(_EVENT_POLL_S)
            else:
                await self.clock.sleep_until(wake)

    def _reset(self) -> None:
        """*RST; the TRACe subsystem keeps its state (p. 18-21)."""
        self.trigger.reset()
        self.source.reset()
        self.meter.reset()
        self.trace.reset()
        self._other.clear()
        self._follow()

    def _preset(self, _: Call) -> None:
        self._reset()
        self.trace.order = "SWAP"  # p. 18-9: *RST makes it NORMal, :SYSTem:PRESet SWAPped

    def _conditions(self) -> int:
        """Measurement condition register, p. 15-13, 15-14."""
        self._advance()
        full = len(self.buffer.rows) >= self.buffer.points
        bits = (len(self.latest) > 0, len(self.buffer.rows) > 1, full, self.source.protecting(), self.source.limiting())
        return sum(bit << place for bit, place in zip(bits, (6, 8, 9, 13, 14), strict=True)) | 1 << 11

    # --- commands; what comes while the model runs waits until it is idle, silently (p. 11-13)

    def _gated(self, action: Action) -> Action:
        async def later(call: Call) -> Reply:
            await self._until_idle()
            outcome = action(call)
            return await outcome if inspect.isawaitable(outcome) else outcome

        return lambda call: later(call) if self.trigger.running else action(call)

    def _add(self, pattern: str, action: Action, *parameters: Parameter) -> None:
        self.scpi.tree.add(pattern, self._gated(action), *parameters)

    def _query(self, pattern: str, action: Action, *parameters: Parameter) -> None:
        self.scpi.tree.query(pattern, self._gated(action), *parameters)

    def _number(self, pattern: str, kind: Number, read: Callable[[], float], write: Callable[[float], None]) -> None:
        self._add(pattern, lambda c: write(c[0]), kind)
        self._query(pattern, lambda c: shown(read() if c[0] is None else kind.limit(c[0])), Limit())

    def _switch(self, pattern: str, read: Callable[[], bool], write: Callable[[bool], None]) -> None:
        self._add(pattern, lambda c: write(c[0]), Boolean())
        self._query(pattern, lambda _: str(int(read())))

    def _word(self, pattern: str, words: str, read: Callable[[], str], write: Callable[[str], None]) -> None:
        self._add(pattern, lambda c: write(c[0]), Choice(words))
        self._query(pattern, lambda _: read())

    def _kept(self, pattern: str, kind: Parameter, default: object, show: Callable[[object], str] = str) -> None:
        """A setting that reads back and does nothing else here."""
        self._add(pattern, lambda c: self._other.update({pattern: c[0]}), kind)
        self._query(pattern, lambda _: show(self._other.get(pattern, default)))

    def _declare_common(self, identity: str) -> None:
        status = self.scpi.status
        self._query("*IDN", lambda _: identity)
        self._query("*OPT", lambda _: "0")
        self._add("*CLS", self._clear)
        self._query("*STB", lambda _: str(self._status_byte()))
        self._query("*ESR", lambda _: str(status.take_standard_event()))
        self.scpi.tree.add("ABORt", self._abort)
        self.scpi.tree.add("SYSTem:PRESet", self._preset)
        self._add("INITiate[:IMMediate]", self._initiate)
        for pattern in ("SYSTem:ERRor[:NEXT]", "STATus:QUEue[:NEXT]"):
            self._query(pattern, self._next_error)
        self._add("STATus:QUEue:CLEar", lambda _: self.scpi.errors.clear())
        self._groups = {"MEASurement": self._measurement, "OPERation": self.scpi.operation, "QUEStionable": self.scpi.questionable}
        for name, group in self._groups.items():
            self._declare_group(f"STATus:{name}", group)
        self._add("STATus:PRESet", self._preset_groups)

    def _declare_group(self, base: str, group: RegisterGroup) -> None:
        self._query(f"{base}[:EVENt]", lambda _: str(group.event()))
        self._query(f"{base}:CONDition", lambda _: str(group.condition()))
        self._add(f"{base}:ENABle", lambda c: setattr(group, "enable", c[0]), Integer(0, 65535))
        self._query(f"{base}:ENABle", lambda _: str(group.enable))

    def _preset_groups(self, _: Call) -> None:
        for group in self._groups.values():
            group.preset()

    def _clear(self, _: Call) -> None:
        self.scpi.status.clear()
        self._measurement.clear()

    def _next_error(self, _: Call) -> str:
        code, text = self.scpi.errors.pop()
        return f'{code:+d},"{text}"' if code else f'0,"{text}"'

    def _status_byte(self) -> int:
        """Bit 0 is the measurement summary (figure 15-3)."""
        status = self.scpi.status
        byte = (status.value() & ~64) | int(self._measurement.summary())
        return byte | (64 if byte & status.service_enable else 0)

    def _declare_system(self) -> None:
        meter, source = self.meter, self.source
        self._query("SYSTem:VERSion", lambda _: "1996.0")
        self._query("SYSTem:LFRequency", lambda _: f"{self.setup.mains_hz:.0f}")
        self._add("SYSTem:AZERo[:STATe]", self._auto_zero, Raw())
        self._query("SYSTem:AZERo[:STATe]", lambda _: str(int(meter.auto_zero)))
        self._switch("SYSTem:RSENse", lambda: source.remote, lambda v: self._apply("remote", v))
        self._query("SYSTem:TIME", lambda _: shown(self.clock.now_ns() * 1e-9))
        self._add("SYSTem:TIME:RESet", lambda _: None)
        self._add("SYSTem:BEEPer[:IMMediate]", lambda _: None, Number("HZ", 65, 2e6), Number("S", 0, 7.9))
        for pattern in ("SYSTem:BEEPer:STATe", "DISPlay:ENABle", "SYSTem:TIME:RESet:AUTO", "SOURce[1]:DELay:AUTO"):
            self._kept(pattern, Boolean(), True, lambda v: str(int(bool(v))))
        self._add("DISPlay:DIGits", lambda _: None, Number("", 3.5, 7))
        for pattern in ("SYSTem:LOCal", "SYSTem:REMote"):
            self._add(pattern, lambda _: None)
        self._word("ROUTe:TERMinals", "FRONt|REAR", lambda: "FRON" if meter.front else "REAR", self._set_terminals)

    def _auto_zero(self, call: Call) -> None:
        if call[0].text == "ONCE":
            self.meter.zero(self.clock.now_ns())
        else:
            self.meter.auto_zero = Boolean().value(call[0])

    def _set_terminals(self, word: str) -> None:
        if (word == "FRON") != self.meter.front:
            self.source.switch(on=False)
        self.meter.front = word == "FRON"

    def _apply(self, name: str, value: object) -> None:
        setattr(self.source, name, value)
        self.source.apply()

    def _declare_source(self) -> None:
        source, model = self.source, self.source.model
        self._word("SOURce[1]:FUNCtion[:MODE]", "VOLTage|CURRent", lambda: source.function, lambda v: self._apply("function", v))
        self._word("SOURce[1]:FUNCtion:SHAPe", "DC", lambda: "DC", lambda _: None)
        self._declare_level("VOLT", "SOURce[1]:VOLTage", Number("V", -model.most_v, model.most_v, 0.0))
        self._declare_level("CURR", "SOURce[1]:CURRent", Number("A", -model.most_a, model.most_a, 0.0))
        protection = Number("V", -model.most_v, model.most_v, model.most_v)
        self._number("SOURce[1]:VOLTage:PROTection[:LEVel]", protection, lambda: source.protection, source.set_protection)
        self._kept("SOURce[1]:DELay", Number("S", 0, 999.9999, 0.0), 0.0, lambda v: f"{v:+.6E}")
        self._add("SOURce[1]:CLEar[:IMMediate]", lambda _: source.switch(on=False))
        self._switch("SOURce[1]:CLEar:AUTO", lambda: source.auto_off, self._set_auto_off)
        self._switch("OUTPut[1][:STATe]", lambda: source.on, self._output)
        self._word("OUTPut[1]:SMODe", _OFF_STATES, lambda: source.off_state, lambda v: self._apply("off_state", v))

    def _declare_level(self, function: str, base: str, level: Number) -> None:
        source = self.source
        self._number(
            f"{base}[:LEVel][:IMMediate][:AMPLitude]", level, lambda: source.level[function], lambda v: source.set_level(function, v)
        )
        self._number(f"{base}:RANGe", level, lambda: OVER * source.range[function], lambda v: source.set_range(function, v))
        self._switch(f"{base}:RANGe:AUTO", lambda: source.auto[function], lambda v: source.auto.update({function: v}))
        self._word(f"{base}:MODE", "FIXed", lambda: "FIX", lambda _: None)

    def _set_auto_off(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        self.source.auto_off = on or self.setup.trap == "auto_off"

    def _output(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        self.source.switch(on)
        if not on:
            self.trigger.abort()  # turning the source off makes it idle (p. 18-55)

    def _declare_sense(self) -> None:
        meter, model, sense = self.meter, self.source.model, "[SENSe[1]:]"
        self._declare_limit("VOLT", f"{sense}VOLTage[:DC]", Number("V", -model.most_v, model.most_v))
        self._declare_limit("CURR", f"{sense}CURRent[:DC]", Number("A", -model.most_a, model.most_a))
        for name in ("VOLTage[:DC]", "CURRent[:DC]", "RESistance"):
            self._number(f"{sense}{name}:NPLCycles", Number("", 0.01, 10, 1.0), lambda: meter.nplc, self._set_nplc)
        self._kept(f"{sense}RESistance:MODE", Choice("MANual|AUTO"), "MAN")
        self._switch(f"{sense}RESistance:RANGe:AUTO", lambda: True, lambda _: None)
        texts = (Text(), Text(optional=True), Text(optional=True))
        self._add(f"{sense}FUNCtion[:ON]", self._functions_on, *texts)
        self._query(f"{sense}FUNCtion[:ON]", lambda _: ",".join(f'"{f}:DC"' if f != "RES" else '"RES"' for f in sorted(meter.functions)))
        self._add(f"{sense}FUNCtion[:ON]:ALL", lambda _: meter.functions.update(("VOLT", "CURR", "RES")))
        self._add(f"{sense}FUNCtion:OFF", lambda c: meter.functions.difference_update(_named(c)), *texts)
        self._add(f"{sense}FUNCtion:OFF:ALL", lambda _: meter.functions.clear())
        self._switch(f"{sense}FUNCtion:CONCurrent", lambda: meter.concurrent, lambda v: setattr(meter, "concurrent", v))
        self._switch(f"{sense}AVERage[:STATe]", lambda: meter.filter, lambda v: setattr(meter, "filter", v))
        self._kept(f"{sense}AVERage:COUNt", Integer(1, 100, 10), 10)
        self._kept(f"{sense}AVERage:TCONtrol", Choice("REPeat|MOVing"), "REP")

    def _declare_limit(self, function: str, base: str, kind: Number) -> None:
        meter, source = self.meter, self.source
        self._number(f"{base}:RANGe[:UPPer]", kind, lambda: OVER * self._range(function), lambda v: self._set_range(function, v))
        self._switch(f"{base}:RANGe:AUTO", lambda: meter.auto[function], lambda v: self._set_auto(function, v))
        self._number(f"{base}:PROTection[:LEVel]", kind, lambda: source.limit[function], lambda v: self._set_limit(function, v))
        self._query(f"{base}:PROTection:TRIPped", lambda _: str(int(source.limiting() and source.function != function)))

    def _range(self, function: str) -> float:
        return self.source.range[function] if self.source.function == function else self.meter.range[function]

    def _set_range(self, function: str, value: float) -> None:
        """Raises ScpiError -221 for the sourced quantity, 824 beyond the compliance range (p. 18-62)."""
        ranges = self.source.model.volts if function == "VOLT" else self.source.model.amps
        chosen = reaching(ranges, value)
        if self.source.function == function:
            raise ScpiError(-221)
        if chosen > reaching(ranges, self.source.limit[function]):
            raise ScpiError(*BEYOND_COMPLIANCE)
        self.meter.range[function], self.meter.auto[function] = chosen, False
        self._follow()

    def _set_auto(self, function: str, on: bool) -> None:  # noqa: FBT001 - one plain switch
        if self.source.function == function and on:
            raise ScpiError(-221)
        self.meter.auto[function] = on
        self._follow()

    def _set_limit(self, function: str, value: float) -> None:
        fixed = 0.0 if self.meter.auto[function] else self.meter.range[function]
        self.source.set_limit(function, value, fixed)

    def _set_nplc(self, value: float) -> None:
        self.meter.nplc = round(value, 2)  # programmable with 0.01 line cycles of resolution (p. A-4)

    def _follow(self) -> None:
        """A fixed current range reaches the output as range compliance."""
        self.source.measure_range = self.meter.clamp_range()
        self.source.apply()

    def _functions_on(self, call: Call) -> None:
        wanted = _named(call)
        if not self.meter.concurrent:
            if len(wanted) > 1:
                raise ScpiError(-221)
            self.meter.functions.clear()
        self.meter.functions.update(wanted)

    def _declare_readings(self) -> None:
        self._query("READ", self._read)
        self._query("FETCh", lambda _: self.trace.sent(self.latest))
        self._query("[SENSe[1]:]DATA[:LATest]", lambda _: self.trace.sent(self.latest[-1:]))
        self._declare_one_shot("CURRent[:DC]", "CURR")
        self._declare_one_shot("VOLTage[:DC]", "VOLT")
        self._declare_one_shot("RESistance", "RES")
        self._query("MEASure", lambda c: self._measure(c, ""))

    def _declare_one_shot(self, name: str, function: str) -> None:
        self._query(f"MEASure:{name}", lambda c: self._measure(c, function))
        self._add(f"CONFigure:{name}", lambda _: self._configure(function))

    async def _read(self, _: Call) -> Reply:
        self._initiate()
        await self._until_idle()
        return self.trace.sent(self.latest)

    def _configure(self, function: str) -> None:
        """One-shot: the function with its defaults, an immediate trigger model (p. 17-2), and the output on."""
        self.meter.functions = {function}
        if function in self.meter.auto and self.source.function != function:
            self.meter.auto[function] = True
        self.meter.nplc, self.meter.filter = 1.0, False
        trigger = self.trigger
        trigger.arm_source, trigger.source, trigger.arm_count, trigger.count = "IMM", "IMM", 1.0, 1
        self._follow()
        self.source.switch(on=True)

    async def _measure(self, call: Call, function: str) -> Reply:
        self._configure(function or sorted(self.meter.functions)[0])
        return await self._read(call)


def _named(call: Call) -> set[str]:
    """Functions of a list of strings such as 'VOLT:DC','CURR'. Raises ScpiError(-224)."""
    names = [_FUNCTIONS.get(text.upper().removesuffix(":DC")) for text in call.values if text is not None]
    if None in names:
        raise ScpiError(-224)
    return {name for name in names if name is not None}
