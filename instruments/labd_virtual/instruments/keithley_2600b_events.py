"""Trigger events of a virtual 2600B: their numbers, the timers that delay them, and the fourteen digital lines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from labd_virtual.front_end import wired
from labd_virtual.instruments.keithley_2600b_lua import TspError, Value
from labd_virtual.instruments.keithley_2600b_things import Attributes, Row, numeric, stored
from labd_virtual.persona import PersonaSetup

Background = Callable[[Coroutine[Any, Any, None], str], None]
BYPASS, FALLING, RISING, EITHER, SYNCHRONOUS_A, SYNCHRONOUS, SYNCHRONOUS_M, RISING_A, RISING_M = range(9)
_SEEN = {FALLING: (0,), RISING: (1,), EITHER: (0, 1), SYNCHRONOUS_A: (0,), SYNCHRONOUS: (0,), SYNCHRONOUS_M: (1,), RISING_A: (1,)}
_WAIT_POLL_S = 1e-3


class Events:
    """Numbers of events, and who is started by them. The numbers differ from a real instrument's: scripts use the names."""

    def __init__(self) -> None:
        self._issued = 0
        self._listeners: list[tuple[Callable[[], float], Callable[[int], None]]] = []

    def issue(self) -> float:
        self._issued += 1
        return float(self._issued)

    def listen(self, stimulus: Callable[[], float], act: Callable[[int], None]) -> None:
        """act is called with the board time of every event whose number `stimulus` gives then (0: none)."""
        self._listeners.append((stimulus, act))

    def emit(self, event: float, t_ns: int) -> None:
        for stimulus, act in self._listeners:
            if stimulus() == event:
                act(t_ns)

    def stimulus(self, thing: Attributes, owner: object, name: str = "stimulus") -> None:
        """The attribute that chooses an event."""
        thing.number(name, *stored(owner, "stimulus"), low=0.0, high=1e6)


class Timer:
    """`trigger.timer[N]`: 2600BS-901-01 Rev. F p. 4-12, defaults 2600AS-901-01 p. 19-208."""

    def __init__(self, events: Events, setup: PersonaSetup, background: Background) -> None:
        self._events, self._clock, self._background = events, setup.clock, background
        self.event = events.issue()
        self.reset()
        events.listen(lambda: self.stimulus, self._triggered)

    def reset(self) -> None:
        self.delay_s, self.count, self.passthrough, self.stimulus = 10e-6, 1, False, 0.0

    def declare(self, number: int) -> Attributes:
        thing = Attributes(f"trigger.timer[{number}]")
        thing.number("delay", *stored(self, "delay_s"), low=1e-6, high=1e5)
        thing.number("count", *stored(self, "count"), low=0, high=1_048_575)
        thing.boolean("passthrough", lambda: self.passthrough, lambda v: setattr(self, "passthrough", v))
        self._events.stimulus(thing, self)
        thing.constant("EVENT_ID", self.event)
        thing.action("reset", self.reset)
        thing.action("clear", lambda: None)
        return thing

    def _triggered(self, t_ns: int) -> None:
        if self.passthrough:
            self._events.emit(self.event, t_ns)
        self._background(self._runs(t_ns, round(self.delay_s * 1e9), int(self.count)), "timer")

    async def _runs(self, t_ns: int, delay_ns: int, count: int) -> None:
        k = 0
        while count == 0 or k < count:
            k += 1
            await self._clock.sleep_until(t_ns + k * delay_ns)
            self._events.emit(self.event, self._clock.now_ns())


class Line:
    """`digio.trigger[N]`: 2600BS-901-01 Rev. B p. 7-52, Rev. C p. 7-59 to 7-61; modes 2600AS-901-01 p. 19-33."""

    def __init__(self, number: int, events: Events, setup: PersonaSetup, background: Background) -> None:
        self._number, self._events, self._setup, self._background = number, events, setup, background
        self.event = events.issue()
        self._seen_ns = 0
        self.reset()
        events.listen(lambda: self.stimulus, self.pulse)

    def reset(self) -> None:
        self.mode, self.width_s, self.stimulus = BYPASS, 10e-6, 0.0

    def declare(self) -> Attributes:
        thing = Attributes(f"digio.trigger[{self._number}]")
        thing.number("mode", lambda: self.mode, self._set_mode, low=-1e9, high=1e9)
        thing.number("pulsewidth", *stored(self, "width_s"), low=0.0, high=1e5)
        self._events.stimulus(thing, self)
        thing.constant("EVENT_ID", self.event)
        thing.shown("overrun", lambda: False)
        thing.action("reset", self.reset)
        thing.action("clear", self.forget)
        thing.action("assert", lambda: self.pulse(self._setup.clock.now_ns()))
        thing.action("release", self._rest)
        thing.function("wait", self._wait)
        return thing

    def forget(self) -> None:
        """Edges of before no longer count."""
        self._seen_ns = self._setup.clock.now_ns()

    def look(self, now_ns: int) -> None:
        """Emit an event for each edge since the last look."""
        for t_ns in self._edges(now_ns + 1):
            self._events.emit(self.event, t_ns)

    def _edges(self, end_ns: int) -> list[int]:
        pin, wanted = self._pin(), _SEEN.get(int(self.mode), ())
        start, self._seen_ns = self._seen_ns, max(self._seen_ns, end_ns)
        if pin is None or not wanted:
            return []
        return [e.t_ns for e in self._setup.pins.edges(pin, start, end_ns) if e.level in wanted]

    def pulse(self, _: int) -> None:
        """An output cannot move in the past: it moves now."""
        pin, high = self._pin(), int(self.mode == RISING_M)
        if pin is None or self.mode == BYPASS:
            return
        self._setup.pins.drive(pin, high)
        if self.width_s:
            self._background(self._ends(pin, 1 - high, self._setup.clock.now_ns() + round(self.width_s * 1e9)), "trigger pulse")

    async def _ends(self, pin: str, level: int, t_ns: int) -> None:
        await self._setup.clock.sleep_until(t_ns)
        self._setup.pins.drive(pin, level)

    async def _wait(self, arguments: list[Value]) -> list[Value]:
        """Blocks the script for up to a time-out (Rev. F p. 9-62)."""
        clock = self._setup.clock
        end_ns = clock.now_ns() + round(numeric(arguments[0] if arguments else None) * 1e9)
        while not self._edges(clock.now_ns() + 1):
            if clock.now_ns() >= end_ns:
                return [False]
            await clock.sleep_until(min(end_ns, clock.now_ns() + round(_WAIT_POLL_S * 1e9)))
        return [True]

    def _set_mode(self, value: float) -> None:
        if value not in range(9):
            raise TspError(1800, "Invalid Digital Trigger Mode")
        self.mode = int(value)
        self.forget()
        self._rest()

    def _rest(self) -> None:
        pin = self._pin()
        if pin is not None and self.mode == RISING_M:
            self._setup.pins.drive(pin, 0)

    def _pin(self) -> str | None:
        options = self._setup.options
        names = [f"line{self._number}"]
        names += ["marker"] if options.get("trigger_line") == self._number else []
        names += ["fire"] if options.get("fire_line") == self._number else []
        return wired(self._setup.wires, *names)


class Lines:
    """`digio`."""

    def __init__(self, events: Events, setup: PersonaSetup, background: Background) -> None:
        self._lines = [Line(n, events, setup, background) for n in range(1, 15)]

    def declare(self) -> Attributes:
        digio = Attributes("digio")
        digio.constant("trigger", Row(line.declare() for line in self._lines))
        digio.constants(TRIG_BYPASS=0, TRIG_FALLING=1, TRIG_RISING=2, TRIG_EITHER=3, TRIG_SYNCHRONOUSA=4)
        digio.constants(TRIG_SYNCHRONOUS=5, TRIG_SYNCHRONOUSM=6, TRIG_RISINGA=7, TRIG_RISINGM=8)
        return digio

    def reset(self) -> None:
        for line in self._lines:
            line.reset()

    def look(self, now_ns: int) -> None:
        for line in self._lines:
            line.look(now_ns)
