"""Virtual Keithley DMM6500 and DMM7510 in their native SCPI command set.

Commands and behaviour: "Model DMM6500 Reference Manual", DMM6500-901-01 Rev. A (April 2018); page numbers without a document are of it,
as published notes of its pages give them. DMM7510-901-01 Rev. B (May 2015) where it is named. What a DMM6500 of firmware 1.7.17a was
seen to do comes from published bench notes. Queries without an example (words, number formats) follow the 2461's manual of the same tree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from labd_virtual.instruments.keithley_dmm6500_blocks import declare_blocks
from labd_virtual.instruments.keithley_dmm6500_buffers import Buffer, Buffers
from labd_virtual.instruments.keithley_dmm6500_events import Events
from labd_virtual.instruments.keithley_dmm6500_functions import (
    CURRENT_RANGES,
    FRONT_MOST_A,
    FUNCTIONS,
    VOLTAGE_RANGES,
    Sense,
    SenseCommands,
    called,
    reaching,
    shown,
)
from labd_virtual.instruments.keithley_dmm6500_lines import Lines
from labd_virtual.instruments.keithley_dmm6500_meter import RATE_LEAST, RATE_MOST, Meter, SampleRun
from labd_virtual.instruments.keithley_dmm6500_panel import declare_kept, declare_panel
from labd_virtual.instruments.keithley_dmm6500_trace import WORDS, Trace
from labd_virtual.instruments.keithley_dmm6500_trigger import TriggerModel
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Boolean, Choice, Integer, Limit, Number, Text
from labd_virtual.scpi_tree import Call

MODELS = ("DMM6500", "DMM7510")
_EVENT_POLL_S = 0.002  # host time between looks for an event while a model waits for one; board time does not depend on it
_SIMPLE = {"CURR": "CURR", "CURRENT": "CURR", "VOLT": "VOLT", "VOLTAGE": "VOLT"}

TRAPS: Mapping[str, str] = {
    "tsp": "it speaks TSP: its command language was set so at its front panel",
    "front": "its TERMINALS switch, which no command moves, stands at the other side than the bench file says",
    "query_aborts": "a query while its trigger model runs is answered and then aborts the model, as a DMM6500 was seen to do in TSP",
    "stale_edge": "an event from before ends a wait at once, as it does by default (<clear> NEVer): the capture shows something else",
    "once": "the buffer stays in the fill mode ONCE: when it is full, readings around the event are discarded (event 4915)",
    "discards": "the buffer holds fewer readings than were digitized, without a word",
    "gap": "the digitizer begins anew after the trigger: the count is right and a millisecond is missing in the middle",
    "cut_block": "a binary block, which has no length, ends before all readings that were asked for are in it",
    "byte_order": "it sends the most significant byte first, whatever FORMat:BORDer was told",
    "rate": "it lowers a sample rate that it does not reach without a word",
    "aperture": "it shortens the aperture when the sample rate is set, so that a part of every interval is not measured",
    "range": "somebody presses AUTO at its front panel after the set-up",
    "relative": "a relative offset is subtracted from every reading, and switching it off does not help",
    "overflow": "the current is above what the range shows: readings are 9.9E37",
    "notify": "EXTERNAL TRIGGER OUT stays at its default, notify 2: the DUT gets edges that nobody meant",
}


def create(setup: PersonaSetup) -> Persona:
    """options: model (DMM6500, DMM7510), terminals (rear, front). wires: `ext_in` or `marker`, `ext_out` or `fire`.

    Raises ValueError for a model or a side that it has not.
    """
    return Dmm(setup)


def _one_of(setup: PersonaSetup, option: str, *known: str) -> str:
    value = str(setup.options.get(option, known[0]))
    if value not in known:
        raise ValueError(f"{option} is {value!r}, expected one of {', '.join(known)}")
    return value


class Dmm(ScpiPersona):
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        self.model_name = _one_of(setup, "model", *MODELS)
        super().__init__(setup, f"KEITHLEY INSTRUMENTS,MODEL {self.model_name},VIRTUAL6,1.7.12b", queue_capacity=1000)
        scpi = self.scpi
        self.front = (_one_of(setup, "terminals", "rear", "front") == "front") != (setup.trap == "front")
        self.sense = Sense(setup.mains_hz, FRONT_MOST_A if self.front else CURRENT_RANGES[-1], 7 if self.model_name == "DMM7510" else 6)
        self.meter = Meter(setup, self.sense, front=self.front)
        self.events = Events(scpi, setup.clock)
        self.buffers = Buffers(self.events.past_capacity)
        self.lines = Lines(setup, self.background)
        self.model = TriggerModel(self, setup.trap)
        self.trace = Trace(scpi.tree, self.buffers, self.events, unit=self._unit, trap=setup.trap)
        self._ended = asyncio.Event()
        self._commands = 0  # since the last initiation
        self.redraw(setup.rng)
        scpi.before, scpi.reset, scpi.trigger, scpi.finished = self._before, self._reset, self._bus_trigger, self._finished
        self.lines.declare(scpi.tree)
        declare_blocks(scpi.tree, self)
        declare_panel(scpi.tree, setup, front=self.front)
        SenseCommands(scpi.tree, self.sense, self._sense_changed)
        for function in ("CURR", "VOLT"):
            self._declare_digitize(function)
        self._declare_readings()

    def redraw(self, rng: np.random.Generator) -> None:
        self.meter.redraw(rng)

    def output_on(self) -> bool:
        return False

    # --- what the trigger model needs (Stage) and its commands

    def clear(self, buffer: str | None) -> None:
        self.buffers.named(buffer).clear()

    def begin(self, buffer: str | None, start_ns: int) -> SampleRun:
        return self.meter.begin(self.buffers.named(buffer), start_ns)

    def usual_count(self) -> int:
        return self.meter.digitize_count if self.meter.digitizing else self.meter.count

    def capacity(self, buffer: str | None) -> int:
        return self.buffers.named(buffer).capacity

    def checked(self, buffer: str | None) -> str | None:
        self.buffers.named(buffer)
        return buffer

    def find_events(self, name: str, start_ns: int, end_ns: int) -> list[int]:
        return self.lines.events(name, start_ns, end_ns)

    def notify(self, number: int, t_ns: int) -> None:
        self.lines.happen(f"NOT{number}", t_ns)

    def initiate(self) -> None:
        self._pressed()
        self._commands = 0
        self.lines.forget()
        self._ended.clear()
        self.events.note(2731)
        self.model.initiate(self.clock.now_ns())
        self.background(self._push(), "trigger model")

    def abort(self) -> None:
        if self.model.abort(self.clock.now_ns()):
            self._ended.set()
            self.events.note(2728)

    # --- what happens between commands

    def _before(self) -> None:
        self.catch_up()
        self._commands += 1
        if self.setup.trap == "query_aborts" and self._commands > 1:
            self.abort()

    def catch_up(self) -> None:
        was_running = self.model.running
        self.model.advance(self.clock.now_ns())
        if was_running and not self.model.running:
            self._ended.set()
            self.events.note(2732)

    async def _push(self) -> None:
        while True:
            self.catch_up()
            if not self.model.running:
                return
            wake = self.model.next_ns()
            if wake is None or wake <= self.clock.now_ns():
                await asyncio.sleep(_EVENT_POLL_S)
            else:
                await self.clock.sleep_until(wake)

    async def _finished(self) -> None:
        if self.model.running:
            await self._ended.wait()

    def _bus_trigger(self) -> None:
        self.lines.happen("COMM", self.clock.now_ns())
        self.catch_up()

    def _reset(self) -> None:
        self.abort()
        self.model.load([])
        self.meter.reset()
        self.buffers.reset()
        self.lines.reset()
        self.trace.reset()
        self._trap_set()

    # --- traps that lie in settings

    def _trap_set(self) -> None:
        if self.setup.trap == "relative":
            self.sense.by_name["CURR:DC"].relative_on = True
            self.meter.change("CURR", relative_on=True)

    def _sense_changed(self, name: str) -> None:
        if name == "CURR:DC":
            self._trap_set()

    def _pressed(self) -> None:
        """AUTO at the front panel; a digitize function has none and takes its highest range."""
        if self.setup.trap == "range":
            self.sense.by_name["CURR:DC"].auto_range = True
            self.meter.change("CURR", range=self.sense.top_a)

    # --- commands

    def _number(self, pattern: str, kind: Number, read: Callable[[], float], write: Callable[[float], None]) -> None:
        self.scpi.tree.add(pattern, lambda c: write(c[0]), kind)
        self.scpi.tree.query(pattern, lambda c: shown(read() if c[0] is None else kind.limit(c[0])), Limit())

    def _unit(self) -> str:
        if self.meter.digitizing:
            return {"CURR": "Amp DC", "VOLT": "Volt DC"}[self.meter.function]
        return called(self.meter.function).unit

    def _declare_digitize(self, function: str) -> None:
        name, unit, ranges = ("CURRent", "A", CURRENT_RANGES) if function == "CURR" else ("VOLTage", "V", VOLTAGE_RANGES)
        top = self.sense.top_a if function == "CURR" else ranges[-1]
        allowed = tuple(r for r in ranges if r <= top)
        base, meter, tree = f"[SENSe[1]:]DIGitize:{name}", self.meter, self.scpi.tree
        self._number(
            f"{base}:RANGe[:UPPer]",
            Number(unit, 0, top, top),
            lambda: meter.digitize[function].range,
            lambda v: meter.change(function, range=reaching(allowed, v)),
        )
        rate = Number("HZ", RATE_LEAST, RATE_MOST, RATE_MOST)
        self._number(f"{base}:SRATe", rate, lambda: meter.digitize[function].rate_hz, partial(self._set_rate, function))
        tree.add(f"{base}:APERture", lambda c: self._set_aperture(function, c[0]), _Aperture("S", 1e-6, 1e-3))
        tree.query(f"{base}:APERture", lambda _: shown(meter.digitize[function].whole_us * 1e-6))
        tree.add(f"{base}:RELative:STATe", lambda c: meter.change(function, relative_on=c[0] or self.setup.trap == "relative"), Boolean())
        tree.query(f"{base}:RELative:STATe", lambda _: str(int(meter.digitize[function].relative_on)))
        if function == "VOLT":
            declare_kept(tree, f"{base}:INPutimpedance", Choice("MOHM10|AUTO"), "MOHM10")
        self._number(
            f"{base}:RELative",
            Number(unit, -top, top, 0),
            lambda: meter.digitize[function].relative,
            lambda v: meter.change(function, relative=v),
        )

    def _set_rate(self, function: str, rate_hz: float) -> None:
        """An aperture that no longer fits becomes AUTO (set the sample rate before the aperture: p. 13-129)."""
        rate = min(round(rate_hz), 50_000) if self.setup.trap == "rate" else round(rate_hz)
        aperture = self.meter.digitize[function].aperture_us
        keep = aperture if aperture is not None and aperture * rate <= 1_000_000 else None
        self.meter.change(function, rate_hz=rate, aperture_us=keep)

    def _set_aperture(self, function: str, aperture_s: float) -> None:
        if aperture_s * self.meter.digitize[function].rate_hz > 1 + 1e-9:
            raise ScpiError(-222)
        self.meter.change(function, aperture_us=1 if self.setup.trap == "aperture" else round(aperture_s * 1e6) or None)

    def _declare_readings(self) -> None:
        tree, meter = self.scpi.tree, self.meter
        tree.add("[SENSe[1]:]FUNCtion[:ON]", lambda c: self._select(c[0]), Text())
        tree.query("[SENSe[1]:]FUNCtion[:ON]", lambda _: self._said("NONE" if meter.digitizing else meter.function))
        tree.add("[SENSe[1]:]DIGitize:FUNCtion[:ON]", lambda c: self._select_digitize(c[0]), Text())
        tree.query("[SENSe[1]:]DIGitize:FUNCtion[:ON]", lambda _: f'"{meter.function if meter.digitizing else "NONE"}"')
        tree.add("[SENSe[1]:]COUNt", lambda c: setattr(meter, "count", c[0]), Integer(1, 1_000_000, 1))
        tree.query("[SENSe[1]:]COUNt", lambda _: str(meter.count))
        tree.add("[SENSe[1]:]DIGitize:COUNt", lambda c: setattr(meter, "digitize_count", c[0]), Integer(1, 55_000_000, 1))
        tree.query("[SENSe[1]:]DIGitize:COUNt", lambda _: str(meter.digitize_count))
        tree.add("[SENSe[1]:]AZERo:ONCE", lambda _: self._zero_once())
        tree.query("READ", partial(self._read, None), Text(optional=True), *WORDS)
        tree.query("READ:DIGitize", self._read_digitized, Text(optional=True), *WORDS)
        tree.query("FETCh", self.trace.latest, Text(optional=True), *WORDS)
        tree.query("MEASure", partial(self._read, None), Text(optional=True), *WORDS)
        tree.query("MEASure:DIGitize", self._read_digitized, Text(optional=True), *WORDS)
        tree.add("TRACe:TRIGger", self._fill, Text(optional=True))
        tree.add("TRACe:TRIGger:DIGitize", self._fill_digitized, Text(optional=True))
        for function in FUNCTIONS:
            tree.query(f"MEASure:{function.header}", partial(self._read, function.name), Text(optional=True), *WORDS)
            tree.add(f"[SENSe[1]:]{function.header}:RELative:ACQuire", partial(self._acquire_relative, function.name))

    def _said(self, name: str) -> str:
        """Stock drivers take a DMM6500's answer as it is, a DMM7510's in quotes."""
        return name if self.model_name == "DMM6500" else f'"{name}"'

    def _select(self, text: str) -> None:
        self._activate(called(text).name, digitizing=False)

    def _select_digitize(self, text: str) -> None:
        function = _SIMPLE.get(text.upper())
        if function is None:
            raise ScpiError(-224)
        self._activate(function, digitizing=True)

    def _activate(self, function: str, *, digitizing: bool) -> None:
        if self.model.running:
            raise ScpiError(-221)
        if (self.meter.function, self.meter.digitizing) != (function, digitizing):
            self.buffers.named(None).clear()
        self.meter.function, self.meter.digitizing = function, digitizing

    def _zero_once(self) -> None:
        """Auto-zero is off afterwards."""
        self.meter.zero(self.clock.now_ns())
        for settings in self.sense.by_name.values():
            settings.auto_zero = False

    async def _acquire_relative(self, function: str, _: Call) -> None:
        """A reading of the active function becomes the relative offset."""
        if self.meter.digitizing or self.meter.function != function:
            raise ScpiError(-221)
        settings, aside = self.sense.by_name[function], Buffer("aside", 10)
        settings.relative_on = False
        await self._into(aside, 1)
        settings.relative, settings.relative_on = float(aside.read(1, 1).values[0]), True

    async def _read(self, function: str | None, call: Call) -> str | bytes:
        """READ? and MEASure?: as many readings as the count says; the last is answered. They are not for digitize functions."""
        if function is not None:
            self._activate(function, digitizing=False)
        if self.meter.digitizing:
            raise ScpiError(-221)
        await self._fill(call)
        return self.trace.latest(call)

    async def _read_digitized(self, call: Call) -> str | bytes:
        await self._fill_digitized(call)
        return self.trace.latest(call)

    async def _fill_digitized(self, call: Call) -> None:
        if not self.meter.digitizing:
            raise ScpiError(-221)
        await self._fill(call)

    async def _fill(self, call: Call) -> None:
        if self.model.running:
            raise ScpiError(-221)
        self._pressed()
        await self._into(self.buffers.named(call[0]), self.usual_count())

    async def _into(self, buffer: Buffer, count: int) -> None:
        run = self.meter.begin(buffer, self.clock.now_ns())
        await self.clock.sleep_until(run.end_ns(count))
        run.upto(count)


class _Aperture(Number):
    """Seconds, or AUTO (0 as value)."""

    __slots__ = ()

    def _named(self, word: str) -> float:
        return 0.0 if word == "AUTO" else super()._named(word)
