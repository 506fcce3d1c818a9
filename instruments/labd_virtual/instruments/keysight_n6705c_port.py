"""The digital port of a virtual N6705C: seven pins that trigger, are triggered from, or carry plain levels.

Pin numbers, functions and polarity: "N6900/N7900 Operating and Service Guide", p. 154 and 222 (sister family, same port).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from labd_virtual.front_end import wired
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_params import Boolean, Choice, Integer
from labd_virtual.scpi_tree import Call, CommandTree

PULSE_NS = 10_000  # a trigger output is a 10 us pulse (N6900/N7900 guide, p. 154)
PINS = range(1, 8)
_FUNCTIONS = "DIO|DINPut|FAULt|INHibit|ONCouple|OFFCouple|TINPut|TOUTput"
_OWN_LEVEL = ("DIO", "TOUT")  # functions in which the pin drives what is wired to it


class Port:
    """Its pins reach the board where the setup wires `pin<n>`, or `fire` for the pin of option fire_pin."""

    def __init__(self, setup: PersonaSetup, background: Callable[[Coroutine[Any, Any, None], str], None]) -> None:
        self._setup, self._background = setup, background
        self._fire_pin = int(setup.options.get("fire_pin") or 3)
        self.reset()

    def reset(self) -> None:
        self._bus_out, self._data = False, 0
        self._functions = dict.fromkeys(PINS, "DIN")
        self._polarities = dict.fromkeys(PINS, "POS")

    def rising(self, pin: int) -> bool:
        """Whether the rising edge of a trigger input counts."""
        return self._polarities[pin] == "POS"

    def bus_trigger(self, now_ns: int) -> None:
        """*TRG also leaves on the trigger output pins, if it is told to."""
        for number in PINS if self._bus_out else ():
            pin = self._pin(number)
            if self._functions[number] == "TOUT" and pin:
                active = 1 if self.rising(number) else 0
                self._setup.pins.drive(pin, active)
                self._background(self._end_pulse(pin, 1 - active, now_ns + PULSE_NS), "trigger pulse")

    def declare(self, tree: CommandTree) -> None:
        tree.add("[SOURce:]DIGital:PIN<1-7>:FUNCtion", self._set_function, Choice(_FUNCTIONS))
        tree.query("[SOURce:]DIGital:PIN<1-7>:FUNCtion", lambda c: self._functions[c.suffixes[0]])
        tree.add("[SOURce:]DIGital:PIN<1-7>:POLarity", self._set_polarity, Choice("POSitive|NEGative"))
        tree.query("[SOURce:]DIGital:PIN<1-7>:POLarity", lambda c: self._polarities[c.suffixes[0]])
        tree.add("[SOURce:]DIGital:TOUTput:BUS[:ENABle]", self._set_bus_out, Boolean())
        tree.query("[SOURce:]DIGital:TOUTput:BUS[:ENABle]", lambda _: str(int(self._bus_out)))
        tree.add("[SOURce:]DIGital:OUTPut:DATA", self._set_data, Integer(0, 127))
        tree.query("[SOURce:]DIGital:OUTPut:DATA", lambda _: str(self._data))

    async def _end_pulse(self, pin: str, level: int, t_ns: int) -> None:
        await self._setup.clock.sleep_until(t_ns)
        self._setup.pins.drive(pin, level)

    def _pin(self, number: int) -> str | None:
        return wired(self._setup.wires, f"pin{number}", *(("fire",) if number == self._fire_pin else ()))

    def _set_bus_out(self, call: Call) -> None:
        self._bus_out = call[0]

    def _set_function(self, call: Call) -> None:
        self._functions[call.suffixes[0]] = call[0]
        self._settle(call.suffixes[0])

    def _set_polarity(self, call: Call) -> None:
        self._polarities[call.suffixes[0]] = call[0]
        self._settle(call.suffixes[0])

    def _set_data(self, call: Call) -> None:
        self._data = call[0]
        for number in PINS:
            if self._functions[number] == "DIO":
                self._settle(number)

    def _settle(self, number: int) -> None:
        """A pin that drives goes to its level: its data bit, or at rest as a trigger output."""
        pin, function = self._pin(number), self._functions[number]
        if pin and function in _OWN_LEVEL:
            bit = self._data >> (number - 1) & 1 if function == "DIO" else 0
            self._setup.pins.drive(pin, bit if self.rising(number) else 1 - bit)
