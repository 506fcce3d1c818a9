"""The DMM6500's EXTERNAL TRIGGER IN and OUT, the bus trigger, and what else sets off its events."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from labd_virtual.front_end import wired
from labd_virtual.instruments.keithley_dmm6500_blocks import event
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_params import Choice, Number, Word
from labd_virtual.scpi_tree import Call, CommandTree

PULSE_NS = 10_000  # no page at hand gives the width of the pulse; it cannot be set
_LEVELS = {"RIS": (1,), "FALL": (0,), "EITH": (0, 1)}
Background = Callable[[Coroutine[Any, Any, None], str], None]


class Lines:
    """Terminals `ext_in` (or `marker`) and `ext_out` (or `fire`). trap: `notify` keeps the stimulus of the output at its default."""

    def __init__(self, setup: PersonaSetup, background: Background) -> None:
        self._setup, self._background = setup, background
        self._in, self._out = wired(setup.wires, "ext_in", "marker"), wired(setup.wires, "ext_out", "fire")
        self._happened: dict[str, list[int]] = {}
        self.reset()

    def reset(self) -> None:
        self.edge, self.stimulus, self.positive = "FALL", "NOT2", False  # read from a DMM6500 of firmware 1.7.17a
        self.timers = dict.fromkeys(range(1, 5), (1e-5, "NONE"))
        self.forget()

    def forget(self) -> None:
        """What came before the start of a trigger model does not count."""
        self._happened = {}

    def happen(self, name: str, t_ns: int) -> None:
        """*TRG (`COMM`) or a notify block (`NOT1`)."""
        self._happened.setdefault(name, []).append(t_ns)
        if name == self.stimulus:
            self._pulse(t_ns)

    def events(self, name: str, start_ns: int, end_ns: int) -> list[int]:
        """Instants in [start, end)."""
        if name != "EXT":
            return [t for t in self._happened.get(name, []) if start_ns <= t < end_ns]
        if self._in is None:
            return []
        return [e.t_ns for e in self._setup.pins.edges(self._in, start_ns, end_ns) if e.level in _LEVELS[self.edge]]

    def _pulse(self, t_ns: int) -> None:
        if self._out:
            self._setup.pins.drive(self._out, int(self.positive))
            self._background(self._end(self._out, int(not self.positive), t_ns + PULSE_NS), "trigger pulse")

    async def _end(self, pin: str, level: int, t_ns: int) -> None:
        await self._setup.clock.sleep_until(t_ns)
        self._setup.pins.drive(pin, level)

    def declare(self, tree: CommandTree) -> None:
        tree.add("TRIGger:EXTernal:IN:EDGE", lambda c: setattr(self, "edge", c[0]), Choice("FALLing|RISing|EITHer"))
        tree.query("TRIGger:EXTernal:IN:EDGE", lambda _: self.edge)
        tree.add("TRIGger:EXTernal:IN:CLEar", lambda _: None)
        tree.query("TRIGger:EXTernal:IN:OVERrun", lambda _: "0")
        tree.add("TRIGger:EXTernal:OUT:STIMulus", self._set_stimulus, Word())
        tree.query("TRIGger:EXTernal:OUT:STIMulus", lambda _: self.stimulus)
        tree.add("TRIGger:EXTernal:OUT:LOGic", self._set_logic, Choice("POSitive|NEGative"))
        tree.query("TRIGger:EXTernal:OUT:LOGic", lambda _: "POS" if self.positive else "NEG")
        tree.add("TRIGger:TIMer<1-4>:DELay", lambda c: self._set_timer(c, c[0], None), Number("S", 0, 100e3))
        tree.query("TRIGger:TIMer<1-4>:DELay", lambda c: f"{self.timers[c.suffixes[0]][0]:.7G}")
        tree.add("TRIGger:TIMer<1-4>:STARt:STIMulus", lambda c: self._set_timer(c, None, event(c[0])), Word())
        tree.query("TRIGger:TIMer<1-4>:STARt:STIMulus", lambda c: self.timers[c.suffixes[0]][1])

    def _set_stimulus(self, call: Call) -> None:
        word = event(call[0])
        self.stimulus = self.stimulus if self._setup.trap == "notify" else word

    def _set_logic(self, call: Call) -> None:
        self.positive = call[0] == "POS"
        if self._out:
            self._setup.pins.drive(self._out, int(not self.positive))

    def _set_timer(self, call: Call, delay_s: float | None, stimulus: str | None) -> None:
        old = self.timers[call.suffixes[0]]
        self.timers[call.suffixes[0]] = (old[0] if delay_s is None else delay_s, stimulus or old[1])
