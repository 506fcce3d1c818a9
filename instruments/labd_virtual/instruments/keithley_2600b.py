"""Virtual Keithley 2602B in its only command language, TSP (Lua lines over VISA).

Commands and behaviour: "Series 2600B System SourceMeter Instrument Reference Manual" 2600BS-901-01, Rev. B, C and F; pages are cited where
a behaviour was taken from one. Not built: functions and tables of Lua, sweeps of the source, trigger counts other than 1, TSP-Link.
What the real instrument would do and this one does not gives 1100 or -285.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from labd_virtual.front_end import drawn_timebase
from labd_virtual.instruments.keithley_2600b_events import Events, Lines, Timer
from labd_virtual.instruments.keithley_2600b_lua import TspError, Value
from labd_virtual.instruments.keithley_2600b_smu import Channel
from labd_virtual.instruments.keithley_2600b_source import VOLTS
from labd_virtual.instruments.keithley_2600b_things import Attributes, Row, numeric, stored
from labd_virtual.instruments.keithley_2600b_tsp import Tsp
from labd_virtual.persona import SERVERS, Persona, PersonaSetup
from labd_virtual.wire import Device

MODEL = "2602B"
IDENTITY = f"Keithley Instruments Inc., Model {MODEL}, VIRTUAL3, 3.3.5"  # the form is QCoDeS's, of a real one

TRAPS: Mapping[str, str] = MappingProxyType(
    {
        "abort": "a capture ends early (the front panel, a temperature), and the buffer just holds fewer readings",
        "overflow": "a reading beyond its range is 9.91e37, not an error",
        "compliance": "the limit holds the output, so readings are not taken at the voltage that was set; only a status bit says so",
        "slow": "readings that cannot keep their interval are taken as fast as they can be, without a word",
        "autorange": "the current range does not stay fixed",
        "autozero": "auto-zero stays on and takes two more conversions now and then",
        "byteorder": "another session leaves blocks in the other byte order",
        "short_block": "a block without a length ends before the last of its values",
        "script": "a script still runs, and nothing is answered until it is aborted",
        "off_mode": "the output-off mode stays at high impedance, so that the output floats instead of sinking the charge",
    }
)


def create(setup: PersonaSetup) -> Persona:
    """options: channel (`a` or `b`, which feeds the node), trigger_line, fire_line (digital lines 1 to 14 on which the terminals `marker`
    and `fire` lie). wires: those or `line<n>`."""
    return K2600B(setup)


class K2600B:
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        self.setup, self.clock = setup, setup.clock
        self.tsp = Tsp(IDENTITY, self.look, self._idle)
        device = Device(
            execute=self._execute,
            unterminated=lambda: self.tsp.fail(TspError(-420, "Query Unterminated")),
            interrupted=lambda: self.tsp.fail(TspError(-410, "Query Interrupted")),
            status=self.tsp.status,
            trigger=self._command_event,
            sessions=lambda _: None,
        )
        self._server = SERVERS[setup.interface](device, clients=setup.clients)
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = False
        self._sprung = False
        self._events = Events()
        self._command = self._events.issue()
        self._lines = Lines(self._events, setup, self._background)
        self._timers = [Timer(self._events, setup, self._background) for _ in range(8)]
        self.channels = [Channel(name, setup, self._events, self._background, self.look) for name in ("smua", "smub")]
        self._line_hz, self._prompts, self._show_errors, self._screen = setup.mains_hz, 0, 0, 0
        self.tsp.reset, self.tsp.trigger = self._reset, self._command_event
        self.redraw(setup.rng)
        self._declare()
        self._bait()

    # --- Persona

    async def serve(self) -> str:
        await self._server.start()
        return self._server.resource

    async def close(self) -> None:
        await self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def redraw(self, rng: np.random.Generator) -> None:
        *drawn, clock = rng.spawn(len(self.channels) + 1)
        timebase = drawn_timebase(self.setup, clock)
        for channel, own in zip(self.channels, drawn, strict=True):
            channel.redraw(own)
            channel.timebase = timebase

    def hang(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._server.hang(on)

    def cut(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._server.cut(on)

    def output_on(self) -> bool:
        return next(c for c in self.channels if c.wired).source.on

    # --- what happens between lines

    def _background(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"{self.setup.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, message: str) -> bytes | None:
        return await self.tsp.execute(message)

    def look(self) -> None:
        """Bring everything to the present: edges that came, readings that are due."""
        if self._looking:
            return
        self._looking = True
        try:
            now = self.clock.now_ns()
            self._lines.look(now)
            for channel in self.channels:
                channel.advance(now)
        finally:
            self._looking = False
            self.tsp.changed.set()

    def _idle(self) -> bool:
        """No overlapped operation is pending."""
        self.look()
        return not any(c.run is not None or c.waiting for c in self.channels)

    def _command_event(self) -> None:
        """*TRG and the interface's own trigger: an event and what it starts are one instant (Rev. B p. D-4)."""
        self.clock.freeze(self.setup.name)
        try:
            self.look()
            self._events.emit(self._command, self.clock.now_ns())
        finally:
            self.clock.thaw(self.setup.name)

    def _reset(self) -> None:
        for channel in self.channels:
            channel.reset()
        for timer in self._timers:
            timer.reset()
        self._lines.reset()
        self.tsp.restore()

    # --- names

    def _declare(self) -> None:
        names = self.tsp.names
        for channel in self.channels:
            names[channel.name] = channel.declare()
        names["digio"] = self._lines.declare()
        trigger = Attributes("trigger")
        trigger.constant("EVENT_ID", self._command)
        trigger.constant("timer", Row(timer.declare(n) for n, timer in enumerate(self._timers, 1)))
        names["trigger"] = trigger
        names["localnode"] = self._local_node()
        names["display"] = self._display()
        names["status"] = self._status()

        async def reset(_: list[Value]) -> list[Value]:
            self._reset()
            return []

        async def delay(arguments: list[Value]) -> list[Value]:
            seconds = numeric(arguments[0] if arguments else None)
            await self.clock.sleep_until(self.clock.now_ns() + round(seconds * 1e9))
            return []

        names.update(reset=reset, delay=delay)

    def _local_node(self) -> Attributes:
        node = Attributes("localnode")
        node.constant("model", MODEL)
        node.constant("serialno", "VIRTUAL3")
        node.constant("revision", "3.3.5")
        node.choice("linefreq", *stored(self, "_line_hz"), values=(50, 60))
        node.choice("prompts", *stored(self, "_prompts"), values=(0, 1))
        node.choice("showerrors", *stored(self, "_show_errors"), values=(0, 1))
        node.action("reset", self._reset)
        return node

    def _display(self) -> Attributes:
        display = Attributes("display")
        display.constants(SMUA=0, SMUB=1, SMUA_SMUB=2, USER=3)
        display.choice("screen", *stored(self, "_screen"), values=(0, 1, 2, 3))

        async def shown(_: list[Value]) -> list[Value]:
            return []

        for name in ("settext", "clear", "sendkey", "setcursor"):
            display.function(name, shown)
        return display

    def _status(self) -> Attributes:
        """Only the registers that tell what a channel does: Rev. F p. 9-290, 9-312, 9-325, 9-327."""
        status = Attributes("status")
        status.action("reset", lambda: None)
        status.shown("condition", lambda: float(self.tsp.status()))
        operation, measurement = status.child("operation"), status.child("measurement")
        operation.child("sweeping").shown("condition", lambda: self._bits("sweeping"))
        operation.child("measuring").shown("condition", lambda: self._bits("measuring"))
        instrument = measurement.child("instrument")
        of_operation = operation.child("instrument")
        for channel in self.channels:
            instrument.child(channel.name).shown("condition", partial(_condition, channel))
            of_operation.child(channel.name).shown("condition", partial(_doing, channel))
        return status

    def _bits(self, name: str) -> float:
        return float(sum(2 << k for k, channel in enumerate(self.channels) if getattr(channel, name)))

    # --- traps

    def _bait(self) -> None:
        """What this specimen does that a driver may not know; the channel knows the others."""
        self.tsp.always_big = self.setup.trap == "byteorder"
        self.tsp.loses = 2 if self.setup.trap == "short_block" else 0
        self.tsp.restore()
        if self.setup.trap == "script":
            for channel in self.channels:
                channel.on_nplc = self._start_script

    def _start_script(self) -> None:
        """Somebody at the front panel, once."""
        if not self._sprung:
            self._sprung = self.tsp.stuck = True


def _condition(channel: Channel) -> float:
    """Bit 0: the voltage limit holds; bit 1: the current limit; bit 8: a reading is in a buffer."""
    held = any(len(b.rows) for b in channel.buffers)
    return (2.0 if channel.source.func == VOLTS else 1.0) * channel.source.limiting() + 256.0 * held


def _doing(channel: Channel) -> float:
    """Bit 3: sweeping; bit 4: an overlapped measurement."""
    return 8.0 * channel.sweeping + 16.0 * channel.measuring
