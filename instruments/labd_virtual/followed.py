"""A chip that follows a device which runs in its own time beside the bench: an emulated core, or a program on this machine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from labd_virtual.clock import BoardClock, Timer
from labd_virtual.load import RESTING, Dispersion, Doing, Phase, State
from labd_virtual.pins import BoardPins
from labd_virtual.silicon import Counts
from labd_virtual.spec import BoardSpec
from labd_virtual.truth import Span, Truth
from labd_virtual.uart import Uart

_CAUSES = 256  # the oldest are forgotten first: bytes to a device that shows no rest


@dataclass(frozen=True, slots=True)
class _Cause:
    """What came from outside. t_ns: when it happened on the board. reached_ns: when the device was told, in the time that it stamps by."""

    kind: str
    t_ns: int
    reached_ns: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a live device does from now on, and the level of its mark pin. state: RUNNING, or how it rests (the firmware's WAIT states).

    activity: 0..1, scales the dynamic current of running code.
    """

    state: State
    phase: Phase
    mark: int
    activity: float = 1.0


class Follower(Protocol):
    """Who is told what a live device does; call it in the bench's event loop."""

    def shows(self, shown: Shown, host_ns: int | None = None) -> None:
        """host_ns: when it began, as time.monotonic_ns tells it; None: now. Tell in order."""

    def sends(self, payload: bytes) -> None:
        """Bytes it put on its UART."""

    def ended(self, reason: str) -> None:
        """It ended by itself; one line."""


class Live(Protocol):
    """A device in its own time. Started at power-on, killed at power-off, again and again; each start is a boot with nothing kept."""

    def start(self, follower: Follower) -> None:
        """Supply came. Must not block: what cannot be started is told as `ended`."""

    def kill(self) -> None:
        """Supply went. Nothing is told to the follower from here on; safe when it has ended, or never started."""

    def trig(self, level: int) -> None:
        """The TRIG pin's new level. The last one before a start still holds after it."""

    def receives(self, payload: bytes) -> None:
        """Bytes that arrived on its UART."""


class Followed:
    """Stands where `Silicon` stands for a board in real time: state, phase and MARK are what the device shows, its UART is bridged both
    ways at the line's pace, it boots and dies with its supply.

    delay_s: what is shown counts this much after it happened, so that each step has its exact place whenever the host is less late than
    this; later ones count as they arrive (`counts.late` of them). It moves phases and marks alike, so no duration feels it.
    """

    def __init__(
        self,
        clock: BoardClock,
        pins: BoardPins,
        *,
        uart: Uart,
        device: Live,
        rng: np.random.Generator,
        spec: BoardSpec,
        delay_s: float = 0.0,
    ) -> None:
        self._clock, self._pins, self._uart, self._device = clock, pins, uart, device
        self._delay_ns = round(delay_s * 1e9)
        self.spec = spec
        self.truth: Truth
        self.on_doing: Callable[[Doing], None] = lambda _doing: None
        self.doing = Doing(State.UNPOWERED, Phase.OFF)
        self.counts = Counts()
        self.clock_rate = 1.0  # its counter is the host's
        self._powered = False
        self._start: Timer | None = None
        self._planned: list[Timer] = []
        self._since_ns = 0
        self._causes: deque[_Cause] = deque(maxlen=_CAUSES)  # what came from outside since it began to rest
        self._power = 1.0
        self.redraw(rng)

    def redraw(self, rng: np.random.Generator) -> None:
        """Another specimen of the same chip."""
        self._dispersion = Dispersion(self.spec, rng)

    # --- supply

    def power_on(self) -> None:
        self.counts.boots += 1
        self._powered = True
        self._do(Doing(State.STARTING, Phase.RAMP))
        self._start = self._clock.call_at(self._clock.now_ns() + round(self.spec.boot_s * 1e9), lambda: self._device.start(self))

    def power_off(self, *, brown_out: bool) -> None:
        self.counts.brown_outs += brown_out
        self._device.kill()
        self._forget()
        self._powered = False
        self._uart.power_lost()
        self._pins.set_mark(0)
        self._do(Doing(State.UNPOWERED, Phase.OFF))

    def _forget(self) -> None:
        if self._start is not None:
            self._start.cancel()
        for timer in self._planned:
            timer.cancel()
        self._start, self._planned = None, []
        self._causes.clear()

    # --- the outside

    def trig(self, level: int) -> None:
        if level:
            self._causes.append(_Cause("trig", self._pins.changed_ns("TRIG"), self._host_ns()))
        self._device.trig(level)

    def byte_arrives(self, byte: int) -> None:
        """At the end of its stop bit. Lost without supply; what else loses one is the device's affair."""
        if not self._powered:
            self.counts.bytes_lost += 1
            return
        self._causes.append(_Cause("uart", self._clock.now_ns(), self._host_ns()))
        self._device.receives(bytes([byte]))

    # --- Follower

    def shows(self, shown: Shown, host_ns: int | None = None) -> None:
        now = self._clock.now_ns()
        at = self._host_ns() if host_ns is None else self._clock.at_host_ns(host_ns)
        due = self._delay_ns + (now if host_ns is None else at)
        self.counts.late += due < now
        if self._delay_ns and due < now:
            self._clock.fell_behind(now - due + self._delay_ns, late=1)
        self._planned = [timer for timer in self._planned if timer.action is not None]
        if due <= now and not self._planned:
            self._apply(shown, at)
        else:
            self._planned.append(self._clock.call_at(due, lambda: self._apply(shown, at)))

    def sends(self, payload: bytes) -> None:
        self._uart.send(payload)

    def ended(self, reason: str) -> None:
        """The core hangs in its fault loop until the supply goes."""
        self.counts.crashed = reason
        self._forget()
        self._pins.set_mark(0)
        self._do(Doing(State.BUSY_POLL, Phase.IDLE))

    # --- what it does

    def _apply(self, shown: Shown, at_ns: int) -> None:
        """at_ns: when the device did it, `delay_s` ago."""
        resting = shown.state is not State.RUNNING and shown.phase in RESTING
        if self._rests() and not resting:
            self._wake(at_ns)
        power, activity = (self._power, shown.activity) if shown.state is State.RUNNING else (1.0, 0.0)
        doing = Doing(shown.state, shown.phase, activity, power)
        if doing != self.doing:
            self._end_span()
            if resting:
                self.truth.rest_begins(doing.state, doing.phase)
                while self._causes and self._causes[0].reached_ns < at_ns:
                    self._causes.popleft()
            self._do(doing)
        self._pins.set_mark(shown.mark)

    def _host_ns(self) -> int:
        """Now, by the host's clock: the bench's own may be behind it."""
        return self._clock.at_host_ns(time.monotonic_ns())

    def _rests(self) -> bool:
        return self.doing.state not in (State.RUNNING, State.STARTING, State.UNPOWERED) and self.doing.phase in RESTING

    def _wake(self, at_ns: int) -> None:
        """Before the load changes. What woke it happened before, so that the wake-up is in the truth, and the delay in it, as in what an
        instrument sees. A timer's expiry nobody tells: there the event is when code runs."""
        _, self._power = self._dispersion.event(self.spec)
        came = [cause for cause in self._causes if cause.reached_ns <= at_ns]
        timer = _Cause("timer", self._clock.now_ns(), at_ns)
        by = min(came, key=lambda cause: (cause.kind != "trig", cause.t_ns), default=timer)
        self.truth.event(by.kind, by.t_ns)
        self.truth.awake()

    def _end_span(self) -> None:
        now = self._clock.now_ns()
        if not self._rests() and self.doing.state is not State.UNPOWERED:
            self.truth.span(Span(self.doing.phase, self._since_ns, now))
        self._since_ns = now

    def _do(self, doing: Doing) -> None:
        if doing != self.doing:
            self.doing = doing
            self.on_doing(doing)
