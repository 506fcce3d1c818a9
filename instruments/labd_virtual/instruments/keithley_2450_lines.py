"""The family's six digital lines: edges coming in as events, pulses going out on a notify block's stimulus."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from labd_virtual.front_end import wired
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Boolean, Choice, Number, Word
from labd_virtual.scpi_tree import Call, CommandTree

Background = Callable[[Coroutine[Any, Any, None], str], None]


@dataclass(slots=True)
class Line:
    """mode: TRIG or DIG; direction: IN, OUT, ODR, MAST or SYNC."""

    mode: str = "DIG"
    direction: str = "IN"
    edge: str = "FALL"
    stimulus: str = "NONE"
    positive: bool = False
    pulse_s: float = 10e-6


class Lines:
    """Terminals `line<n>`; `marker` lies on option trigger_line, `fire` on option fire_line."""

    def __init__(self, setup: PersonaSetup, background: Background) -> None:
        self._setup, self._background = setup, background
        self._commands: list[int] = []
        self.reset()

    def reset(self) -> None:
        self.lines = {n: Line() for n in range(1, 7)}
        self.forget()

    def forget(self) -> None:
        """Events before the start of a trigger model do not count."""
        self._commands = []
        self._notified: dict[int, list[int]] = {}

    def note(self, name: str, t_ns: int) -> None:
        """*TRG"""
        if name == "COMM":
            self._commands.append(t_ns)

    def events(self, name: str, start_ns: int, end_ns: int) -> list[int]:
        """Instants of an event in [start, end)."""
        if name == "COMM":
            return [t for t in self._commands if start_ns <= t < end_ns]
        if name.startswith("NOT"):
            return [t for t in self._notified.get(int(name[3:]), []) if start_ns <= t < end_ns]
        line = self.lines[int(name[3:])] if name.startswith("DIG") else None
        pin = self._pin(int(name[3:])) if line else None
        if line is None or pin is None or line.mode != "TRIG" or line.direction != "IN":
            return []
        wanted = {"RIS": (1,), "FALL": (0,), "EITH": (0, 1)}[line.edge]
        return [e.t_ns for e in self._setup.pins.edges(pin, start_ns, end_ns) if e.level in wanted]

    def notify(self, number: int, t_ns: int) -> None:
        self._notified.setdefault(number, []).append(t_ns)
        for n, line in self.lines.items():
            if line.mode == "TRIG" and line.direction == "OUT" and line.stimulus == f"NOT{number}":
                self._pulse(n, line, t_ns)

    def _pulse(self, number: int, line: Line, t_ns: int) -> None:
        pin = self._pin(number)
        if pin:
            self._setup.pins.drive(pin, int(line.positive))
            self._background(self._end(pin, int(not line.positive), t_ns + round(line.pulse_s * 1e9)), "trigger pulse")

    async def _end(self, pin: str, level: int, t_ns: int) -> None:
        await self._setup.clock.sleep_until(t_ns)
        self._setup.pins.drive(pin, level)

    def _pin(self, number: int) -> str | None:
        options = self._setup.options
        names = [f"line{number}"]
        names += ["marker"] if options.get("trigger_line") == number else []
        names += ["fire"] if options.get("fire_line") == number else []
        return wired(self._setup.wires, *names)

    def declare(self, tree: CommandTree) -> None:
        tree.add("DIGital:LINE<1-6>:MODE", self._set_mode, Choice("TRIGger|DIGital|SYNChronous"), Choice("IN|OUT|ODRain|MASTer|ACCeptor"))
        tree.query("DIGital:LINE<1-6>:MODE", lambda c: "{0.mode}, {0.direction}".format(self.lines[c.suffixes[0]]))
        tree.add("DIGital:LINE<1-6>:STATe", self._set_state, Boolean())
        tree.add("TRIGger:DIGital<1-6>:IN:EDGE", self._set("edge"), Choice("FALLing|RISing|EITHer"))
        tree.query("TRIGger:DIGital<1-6>:IN:EDGE", lambda c: self.lines[c.suffixes[0]].edge)
        tree.add("TRIGger:DIGital<1-6>:IN:CLEar", lambda _: None)
        tree.add("TRIGger:DIGital<1-6>:OUT:STIMulus", self._set_stimulus, Word())
        tree.query("TRIGger:DIGital<1-6>:OUT:STIMulus", lambda c: self.lines[c.suffixes[0]].stimulus)
        tree.add("TRIGger:DIGital<1-6>:OUT:LOGic", self._set_logic, Choice("POSitive|NEGative"))
        tree.query("TRIGger:DIGital<1-6>:OUT:LOGic", lambda c: "POS" if self.lines[c.suffixes[0]].positive else "NEG")
        tree.add("TRIGger:DIGital<1-6>:OUT:PULSewidth", self._set("pulse_s"), Number("S", 0, 100e3))
        tree.query("TRIGger:DIGital<1-6>:OUT:PULSewidth", lambda c: f"{self.lines[c.suffixes[0]].pulse_s:.7G}")

    def _set(self, name: str) -> Callable[[Call], None]:
        return lambda call: setattr(self.lines[call.suffixes[0]], name, call[0])

    def _set_mode(self, call: Call) -> None:
        line = self.lines[call.suffixes[0]]
        line.mode, line.direction = call[0], call[1]
        self._rest(call.suffixes[0])

    def _set_logic(self, call: Call) -> None:
        self.lines[call.suffixes[0]].positive = call[0] == "POS"
        self._rest(call.suffixes[0])

    def _set_state(self, call: Call) -> None:
        line, pin = self.lines[call.suffixes[0]], self._pin(call.suffixes[0])
        if line.mode != "DIG" or line.direction not in ("OUT", "ODR"):
            raise ScpiError(-221)
        if pin:
            self._setup.pins.drive(pin, int(call[0]))

    def _set_stimulus(self, call: Call) -> None:
        word = event_name(call[0])
        if word is None:
            raise ScpiError(-224)
        self.lines[call.suffixes[0]].stimulus = word

    def _rest(self, number: int) -> None:
        line, pin = self.lines[number], self._pin(number)
        if pin and line.mode == "TRIG" and line.direction == "OUT":
            self._setup.pins.drive(pin, int(not line.positive))


def event_name(word: str) -> str | None:
    """`DIGIO3` -> `DIG3`, `COMMAND` -> `COMM`; None for what is no event (2461-901-01 p. 6-191)."""
    stem, number = word.rstrip("0123456789"), word[len(word.rstrip("0123456789")) :]
    for short, long, most in (("DIG", "DIGIO", 6), ("NOT", "NOTIFY", 8), ("TIM", "TIMER", 4), ("LAN", "LAN", 8), ("BLEN", "BLENDER", 2)):
        if stem in (short, long) and number.isdigit() and 1 <= int(number) <= most:
            return short + number
    names = {"COMM": "COMM", "COMMAND": "COMM", "NONE": "NONE", "DISP": "DISP", "DISPLAY": "DISP", "SLIM": "SLIM", "SLIMIT": "SLIM"}
    return None if number else names.get(stem)
