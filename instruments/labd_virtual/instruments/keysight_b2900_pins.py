"""The fourteen digital I/O pins of a B2900A: trigger inputs and trigger outputs.

Commands as in the published driver agb2900.c of this family; the user's guide gives the trigger sources EXT1 to EXT14 (p. 6-27).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from labd_virtual.front_end import wired
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_params import Choice, Number
from labd_virtual.scpi_tree import Call, CommandTree

Background = Callable[[Coroutine[Any, Any, None], str], None]
PINS = 14


@dataclass(slots=True)
class Pin:
    function: str = "DINP"
    polarity: str = "NEG"
    position: str = "BOTH"
    kind: str = "EDGE"
    width_s: float = 100e-6


class Pins:
    """Terminals `line<n>`; `marker` lies on option trigger_line, `fire` on option fire_line."""

    def __init__(self, setup: PersonaSetup, background: Background) -> None:
        self._setup, self._background = setup, background
        self.reset()

    def reset(self) -> None:
        self.pins = {n: Pin() for n in range(1, PINS + 1)}

    def events(self, number: int, start_ns: int, end_ns: int) -> list[int]:
        """Edges on a trigger input in [start, end)."""
        pin, wire = self.pins[number], self._wire(number)
        if wire is None or pin.function != "TINP":
            return []
        level = 1 if pin.polarity == "POS" else 0
        return [e.t_ns for e in self._setup.pins.edges(wire, start_ns, end_ns) if e.level == level]

    def pulse(self, signals: Iterable[str], t_ns: int) -> None:
        """A trigger leaves on these (EXTn; the internal ones lead nowhere here)."""
        for signal in signals:
            number = int(signal[3:]) if signal.startswith("EXT") else 0
            pin, wire = self.pins.get(number), self._wire(number)
            if pin is not None and wire is not None and pin.function == "TOUT":
                active = int(pin.polarity == "POS")
                self._setup.pins.drive(wire, active)
                self._background(self._end(wire, 1 - active, t_ns + round(pin.width_s * 1e9)), "trigger pulse")

    async def _end(self, wire: str, level: int, t_ns: int) -> None:
        await self._setup.clock.sleep_until(t_ns)
        self._setup.pins.drive(wire, level)

    def _wire(self, number: int) -> str | None:
        options = self._setup.options
        names = [f"line{number}"]
        names += ["marker"] if options.get("trigger_line") == number else []
        names += ["fire"] if options.get("fire_line") == number else []
        return wired(self._setup.wires, *names)

    def declare(self, tree: CommandTree, source: str) -> None:
        """source: the pattern of the SOURce node, which is optional here."""
        base = f"{source}DIGital:EXTernal<1-{PINS}>"
        for name, attribute, keywords in (
            ("FUNCtion", "function", "DINPut|DIO|HVOL|TINPut|TOUTput"),
            ("POLarity", "polarity", "NEGative|POSitive"),
            ("TOUTput[:EDGE]:POSition", "position", "BEFore|AFTer|BOTH"),
            ("TOUTput:TYPE", "kind", "EDGE|LEVel"),
        ):
            tree.add(f"{base}:{name}", self._set(attribute), Choice(keywords))
            tree.query(f"{base}:{name}", self._get(attribute))
        tree.add(f"{base}:TOUTput[:EDGE]:WIDTh", self._set("width_s"), Number("S", 1e-5, 1e-2, 100e-6))
        tree.query(f"{base}:TOUTput[:EDGE]:WIDTh", lambda c: f"{self.pins[c.suffixes[-1]].width_s:+.8E}")

    def _set(self, attribute: str) -> Callable[[Call], None]:
        def change(call: Call) -> None:
            number = call.suffixes[-1]
            setattr(self.pins[number], attribute, call[0])
            pin, wire = self.pins[number], self._wire(number)
            if wire is not None and pin.function == "TOUT":
                self._setup.pins.drive(wire, int(pin.polarity != "POS"))  # at rest

        return change

    def _get(self, attribute: str) -> Callable[[Call], str]:
        return lambda call: str(getattr(self.pins[call.suffixes[-1]], attribute))
