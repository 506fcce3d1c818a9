"""Virtual Keysight B2901A, B2902A, B2911A or B2912A.

Commands and behaviour: "Agilent B2900 SCPI Command Reference", Edition 2, with the B2961A/B2962A reference, Edition 6 (the same command
tree) and the published driver agb2900.c where its pages were not at hand; high capacitance mode, off states and trigger system: "Agilent
B2900 User's Guide", Edition 2. Error numbers are the standard ones; where no page gives the number of a refusal, -221 is assumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from labd_virtual.front_end import drawn_timebase
from labd_virtual.instruments.keysight_b2900_commands import declare_channels, declare_system
from labd_virtual.instruments.keysight_b2900_data import Format, empty
from labd_virtual.instruments.keysight_b2900_pins import Pins
from labd_virtual.instruments.keysight_b2900_queries import declare_data, declare_trigger
from labd_virtual.instruments.keysight_b2900_trigger import State
from labd_virtual.instruments.keysight_b2900_unit import Unit
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_status import RegisterGroup

TRAPS: Mapping[str, str] = MappingProxyType(
    {
        "no_data": "one reading of an array is the mark for no data: 9.91E37 in text, not-a-number in a block",
        "byte_order": "the most significant byte comes first, as a reset leaves it, whatever byte order is asked for",
        "trace_points": "the buffer stays under the control NEXT, where its size cannot be set",
        "capacitance": "the load is beyond what the mode drives, and the output rings between its limits",
        "auto_range": "automatic ranging stays on after a range was fixed, so that readings come from ranges nobody chose",
        "compliance": "the output has reached its current limit and no longer holds its voltage",
        "timer": "a reading takes longer than the interval of the timer, so every other trigger is lost without an error",
        "aperture": "an integration time that cannot be had is changed without an error",
        "auto_output": "a measurement switches the output on by itself, because automatic output on stays enabled",
    }
)
MODELS: Mapping[str, tuple[int, bool, float]] = MappingProxyType(
    {"B2901A": (1, False, 20e-6), "B2902A": (2, False, 20e-6), "B2911A": (1, True, 10e-6), "B2912A": (2, True, 10e-6)}
)
_EVENT_POLL_S = 0.002  # host time between looks for an edge while an action waits for one; board time does not depend on it
_LOST, _PROTECTED = (4096, 16384), (4, 8)  # bits of STATus:QUEStionable, by channel


def create(setup: PersonaSetup) -> Persona:
    """options: channel (which one the board is at), trigger_line, fire_line (pins on which the terminals `marker` and `fire` lie).

    unkind: `model` (one of MODELS, default B2912A), `load_capacitance_f`. wires: `marker`, `fire` or `line<n>`.
    """
    return B2900(setup)


class B2900(ScpiPersona):
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        name = str(setup.unkind.get("model", "B2912A"))
        channels, self.fine, self.shortest_s = MODELS[name]
        super().__init__(setup, f"Agilent Technologies,{name},VIRTUAL3,3.4.2011.5100", queue_capacity=100)
        self.pins = Pins(setup, self.background)
        self.bus: list[int] = []
        self.changed = asyncio.Event()
        self.format = Format()
        self.line_hz = round(setup.mains_hz)
        self.units = [Unit(self, number) for number in range(1, channels + 1)]
        self.measurement = RegisterGroup(self._measurement)
        self.redraw(setup.rng)
        scpi = self.scpi
        scpi.before, scpi.reset, scpi.trigger, scpi.finished = self.catch_up, self._reset, self._bus_trigger, self.idle
        scpi.watch(self._operation, self._questionable)
        declare_system(self)
        declare_channels(self)
        declare_data(self)
        declare_trigger(self)
        self._reset()

    def redraw(self, rng: np.random.Generator) -> None:
        clock, *channels = rng.spawn(1 + len(self.units))
        for unit, drawn in zip(self.units, channels, strict=True):
            unit.channel.redraw(drawn)
            unit.timebase = drawn_timebase(self.setup, clock)

    def output_on(self) -> bool:
        number = self.setup.options.get("channel", 1)
        return any(unit.channel.on for unit in self.units if unit.number == number)

    # --- what happens between commands

    def catch_up(self) -> None:
        """Bring triggers and protections to the present."""
        for unit in self.units:
            unit.model.advance(self.clock.now_ns())
            unit.channel.protect()

    async def _push(self) -> None:
        while True:
            self.catch_up()
            if not any(unit.model.running for unit in self.units):
                return
            wakes = [wake for unit in self.units if (wake := unit.model.next_ns()) is not None]
            if wakes and min(wakes) > self.clock.now_ns():
                await self.clock.sleep_until(min(wakes))
            else:
                await asyncio.sleep(_EVENT_POLL_S)

    async def idle(self) -> None:
        """Returns when no action is under way."""
        while any(unit.model.running for unit in self.units):
            self.changed.clear()
            await self.changed.wait()

    def _bus_trigger(self) -> None:
        self.catch_up()
        if not any(unit.model.waits_for("BUS") for unit in self.units):
            self.scpi.fail(ScpiError(-211))
        self.bus = [*self.bus[-9:], self.clock.now_ns()]
        self.catch_up()

    def initiate(self, units: Iterable[Unit], action: str) -> None:
        """Raises ScpiError(-213) while the action is under way. The output goes on by itself unless OUTPut:ON:AUTO is off."""
        for unit in units:
            if any(a.state is not State.IDLE for a in unit.model.chosen(action)):
                raise ScpiError(-213)
            if unit.channel.auto_on and not unit.channel.on:
                unit.channel.switch(on=True)
            if action != "TRAN":
                unit.data = empty()
            unit.model.initiate(action, self.clock.now_ns())
        self.background(self._push(), "trigger system")

    async def spot(self, units: Iterable[Unit]) -> None:
        """One reading by :MEASure?, with the settings as they are. Raises ScpiError(-221) while an acquisition is under way."""
        for unit in units:
            if unit.model.actions["ACQ"].state is not State.IDLE:
                raise ScpiError(-221)
            start = self.clock.now_ns()
            width = max(1, round(unit.channel.aperture_s * 1e9))
            await self.clock.sleep_until(start + round(unit.busy_s() * 1e9))
            unit.data = empty()
            unit.acquire(np.array([start]), np.array([start + width]), np.array([start * 1e-9]))

    # --- status

    def _operation(self) -> int:
        return sum(unit.model.condition() << (1 + 6 * (unit.number - 1)) for unit in self.units)

    def _questionable(self) -> int:
        bits = 0
        for unit in self.units:
            bits |= _LOST[unit.number - 1] * unit.model.actions["ACQ"].lost
            bits |= _PROTECTED[unit.number - 1] * unit.channel.switched_off_at_limit
        return bits

    def _measurement(self) -> int:
        """Reading available and overflow, buffer available and full, five bits above each other."""
        bits = 0
        for unit in self.units:
            held = len(unit.trace.table)
            over = bool(np.isinf(unit.data[:, 1]).any())
            now = 2 * bool(len(unit.data)) | 4 * over | 8 * bool(held) | 16 * (held >= unit.trace.size)
            bits |= now << (6 * (unit.number - 1))
        return bits

    def _reset(self) -> None:
        for unit in self.units:
            unit.reset()
        self.pins.reset()
        self.bus = []
        self.format = Format()
        self.scpi.questionable.preset()
