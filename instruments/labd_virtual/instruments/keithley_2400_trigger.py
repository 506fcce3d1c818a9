"""The trigger model of a virtual Keithley 2400: an arm layer around a trigger layer around source-delay-measure cycles.

Pages are of the "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K, section 11 and p. 18-116 to 18-122.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from labd_virtual.front_end import Instants, wired
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Choice, Integer, Number, Word, keyword_matches
from labd_virtual.scpi_tree import Action, Call

MOST = 2500  # the product of the two counts (p. 11-16)
LATE_AT = 3  # with the trap `late`: the interval that this pass misses
Add = Callable[..., None]


class Trigger:
    """Reckons lazily: `advance` brings it to the present. Nothing here makes time pass."""

    def __init__(
        self, setup: PersonaSetup, cycle_ns: Callable[[], int], done: Callable[[Instants], None], ended: Callable[[], None]
    ) -> None:
        self._setup, self._cycle_ns, self._done, self._ended = setup, cycle_ns, done, ended
        self.timebase = 0.0
        self.running = False
        self.reset()

    def reset(self) -> None:
        self.abort()
        self.arm_source, self.source = "IMM", "IMM"
        self.arm_count, self.count = 1.0, 1
        self.timer_s, self.delay_s = 0.1, 0.0
        self.arm_in, self.line_in, self.arm_out, self.line_out = 1, 1, 2, 2
        self.words = {"ARM:DIR": "ACC", "TRIG:DIR": "ACC", "ARM:OUTP": "NONE", "TRIG:OUTP": "NONE", "TRIG:INP": "NONE"}

    def initiate(self, now_ns: int) -> None:
        """Raises ScpiError(-213) while it runs already."""
        if self.running:
            raise ScpiError(-213)
        self.running, self._began, self._free = True, now_ns, now_ns
        self._passes, self._left, self._tick = 0, 0, 0
        self._start: int | None = None
        self._bus: list[int] = []

    def abort(self) -> None:
        self.running = False

    def bus(self, t_ns: int) -> None:
        """*TRG"""
        if self.running:
            self._bus.append(t_ns)

    def advance(self, now_ns: int) -> None:
        """Finish what has ended by now, and hand the starts of those cycles on."""
        if not self.running:
            return
        starts: list[int] = []
        cycle = self._cycle_ns()
        while self._planned(now_ns) and self._start is not None and self._start + cycle <= now_ns:
            starts.append(self._start)
            self._free, self._start = self._start + cycle, None
            self._left -= 1
        if starts:
            self._done(np.array(starts, dtype=np.int64))
        if self._left == 0 and self._passes >= self.arm_count:
            self.running = False
            self._ended()

    def wake_ns(self) -> int | None:
        """When the cycle under way or planned ends; None while it waits for an event."""
        return None if self._start is None else self._start + self._cycle_ns()

    def _planned(self, now_ns: int) -> bool:
        """The next cycle's start is known."""
        if self._start is not None:
            return True
        if self._left == 0:
            if self._passes >= self.arm_count:
                return False
            event = self._arm_event(now_ns)
            if event is None:
                return False
            self._passes, self._left, self._free = self._passes + 1, self.count, event
        begin: int | None = self._free
        if self.source == "TLIN" and self.words["TRIG:INP"] != "NONE":
            begin = self._edge(self.line_in, now_ns)
        self._start = None if begin is None else begin + round(self.delay_s * 1e9)
        return self._start is not None

    def _arm_event(self, now_ns: int) -> int | None:
        if self.arm_source == "IMM":
            return self._free
        if self.arm_source == "TIM":
            return self._next_tick()
        if self.arm_source == "BUS":
            waiting = [t for t in self._bus if t >= self._free]
            self._bus = waiting[1:]
            return waiting[0] if waiting else None
        return self._edge(self.arm_in, now_ns) if self.arm_source == "TLIN" else None

    def _next_tick(self) -> int:
        """The first pass is immediate, each further one at the next expiry: one that comes while a cycle runs is missed (p. 18-119)."""
        interval = self.timer_s * 1e9 * (1 + self.timebase)
        if self._passes:
            self._tick = max(self._tick + 1, math.ceil((self._free - self._began) / interval - 1e-9))
        if self._setup.trap == "late" and self._passes == LATE_AT:
            self._tick += 1
        return self._began + round(self._tick * interval)

    def _edge(self, line: int, now_ns: int) -> int | None:
        """Falling edges only (p. 11-19)."""
        pin = wired(self._setup.wires, f"line{line}")
        falls = [e.t_ns for e in self._setup.pins.edges(pin, self._free, now_ns + 1) if e.level == 0] if pin else []
        return falls[0] if falls else None

    # --- commands

    def declare(self, add: Add, query: Add) -> None:
        arm, trig = "ARM[:SEQuence[1]][:LAYer[1]]", "TRIGger[:SEQuence[1]]"

        def setting(pattern: str, name: str, kind: object, shown: Callable[[object], str] = str) -> None:
            add(pattern, lambda c: setattr(self, name, c[0]), kind)
            query(pattern, lambda _: shown(getattr(self, name)))

        sources = "IMMediate|TLINk|TIMer|MANual|BUS|NSTest|PSTest|BSTest"
        setting(f"{arm}:SOURce", "arm_source", Choice(sources))
        setting(f"{trig}:SOURce", "source", Choice("IMMediate|TLINk"))
        add(f"{arm}:COUNt", self._set_arm_count, Number("", 1, MOST, 1, infinity=True))
        query(f"{arm}:COUNt", lambda _: "+9.900000E+37" if math.isinf(self.arm_count) else str(round(self.arm_count)))
        add(f"{trig}:COUNt", self._set_count, Integer(1, MOST, 1))
        query(f"{trig}:COUNt", lambda _: str(self.count))
        setting(f"{arm}:TIMer", "timer_s", Number("S", 0.001, 99999.99, 0.1), lambda v: f"{v:+.6E}")
        setting(f"{trig}:DELay", "delay_s", Number("S", 0, 999.9999, 0), lambda v: f"{v:+.6E}")
        for pattern, name in ((f"{arm}:ILINe", "arm_in"), (f"{trig}:ILINe", "line_in"), (f"{arm}:OLINe", "arm_out"), (f"{trig}:OLINe", "line_out")):  # fmt: skip # noqa: E501
            setting(pattern, name, Integer(1, 4))
        for pattern, name, words in (
            (f"{arm}:DIRection", "ARM:DIR", "SOURce|ACCeptor"),
            (f"{trig}:DIRection", "TRIG:DIR", "SOURce|ACCeptor"),
            (f"{arm}:OUTPut", "ARM:OUTP", "TENTer|TEXit|NONE"),
            (f"{trig}:OUTPut", "TRIG:OUTP", "SOURce|DELay|SENSe|NONE"),
            (f"{trig}:INPut", "TRIG:INP", "SOURce|DELay|SENSe|NONE"),
        ):
            add(pattern, self._listed(name, words), Word(), Word(optional=True), Word(optional=True))
            query(pattern, self._listed_reply(name))
        add("TRIGger:CLEar", lambda _: None)  # nothing latches here: edges count from where the model waits

    def _set_arm_count(self, call: Call) -> None:
        if not math.isinf(call[0]) and round(call[0]) * self.count > MOST:
            raise ScpiError(-221)
        self.arm_count = call[0] if math.isinf(call[0]) else float(round(call[0]))

    def _set_count(self, call: Call) -> None:
        if not math.isinf(self.arm_count) and call[0] * self.arm_count > MOST:
            raise ScpiError(-221)
        self.count = call[0]

    def _listed(self, name: str, words: str) -> Action:
        def action(call: Call) -> None:
            chosen = [next((k for k in words.split("|") if keyword_matches(k, w)), None) for w in call.values if w is not None]
            if None in chosen:
                raise ScpiError(-224)
            self.words[name] = ",".join("".join(c for c in k or "" if c.isupper()) for k in chosen)

        return action

    def _listed_reply(self, name: str) -> Action:
        return lambda _: self.words[name]
