"""One channel of a B2900A with its trigger model, its data and its trace buffer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from labd_virtual.front_end import Floats, Instants
from labd_virtual.instruments.keysight_b2900_channel import Channel
from labd_virtual.instruments.keysight_b2900_data import Table, Trace, empty
from labd_virtual.instruments.keysight_b2900_pins import Pins
from labd_virtual.instruments.keysight_b2900_trigger import TriggerModel
from labd_virtual.persona import PersonaSetup


class Surroundings(Protocol):
    """What the channels of an instrument share. bus: instants of *TRG. changed: set whenever an action ends. shortest_s: of the timer."""

    setup: PersonaSetup
    fine: bool
    shortest_s: float
    pins: Pins
    bus: list[int]
    changed: asyncio.Event


class Unit:
    """One channel with its trigger model, its data and its trace buffer."""

    def __init__(self, frame: Surroundings, number: int) -> None:
        self._frame, self.number = frame, number
        self.channel = Channel(frame.setup, wired=frame.setup.options.get("channel", 1) == number, fine=frame.fine)
        self.model = TriggerModel(self)
        self.trace = Trace()
        self.data: Table = empty()
        self.timebase = 0.0

    def reset(self) -> None:
        self.model.abort("ALL")
        self.model.reset()
        self.channel.reset()
        self.trace, self.data = Trace(), empty()
        if self._frame.setup.trap == "trace_points":
            self.trace.control = "NEXT"

    # --- Stage of the trigger model

    def events(self, source: str, start_ns: int, end_ns: int) -> list[int]:
        if source == "BUS":
            return [t for t in self._frame.bus if start_ns <= t < end_ns]
        return self._frame.pins.events(int(source[3:]), start_ns, end_ns) if source.startswith("EXT") else []

    def pulse(self, signals: Iterable[str], t_ns: int) -> None:
        self._frame.pins.pulse(signals, t_ns)

    def busy_s(self) -> float:
        """The shortest interval has room for the shortest aperture; more is not given."""
        late = self.model.actions["ACQ"].trigger.timer_s if self._frame.setup.trap == "timer" else 0.0
        return self.channel.aperture_s + (self._frame.shortest_s - 8e-6) + late

    def aperture_s(self) -> float:
        return self.channel.aperture_s

    def acquire(self, starts: Instants, ends: Instants, at_s: Floats) -> None:
        rows = self.channel.read(starts, ends, at_s)
        self.data = np.concatenate([self.data, rows])
        self.trace.add(rows)

    def act(self) -> None:
        self.channel.act()

    def ended(self, action: str) -> None:
        if action == "ACQ" and self.channel.auto_off:
            self.channel.switch(on=False)
        self._frame.changed.set()
