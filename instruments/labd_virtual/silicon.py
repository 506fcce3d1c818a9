"""The chip: serves the firmware's requests in board time, sleeps, wakes, and dies with its supply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from labd_virtual.clock import BoardClock, Timer, Urgency
from labd_virtual.engine import Operation, cycles_of
from labd_virtual.firmware_process import Firmware, Op, Reply, Request
from labd_virtual.load import RESTING, SLEEPING, UNCLOCKED, Dispersion, Doing, Phase, State
from labd_virtual.oscillator import Counter, Oscillator
from labd_virtual.pins import BoardPins
from labd_virtual.spec import BoardSpec
from labd_virtual.truth import Span, Truth
from labd_virtual.uart import Uart

UART_RX, TRIG, TIMER = 1, 2, 4
NO_TIMEOUT = 0xFFFFFFFF
IN_NS = 0x80  # in a of WAIT and TIMER_AT
_CAUSES = {UART_RX: "uart", TRIG: "trig", TIMER: "timer", 0: "timeout"}
_RECEIVE_LIMIT = 4096
_OWNER = "firmware"


@dataclass(frozen=True, slots=True)
class Wait:
    """A WAIT under way."""

    state: State
    phase: Phase
    wanted: int
    start_ns: int


@dataclass(slots=True)
class Counts:
    """What happened to the chip since the bench began. late: what a followed one showed, told too late to have its exact place."""

    boots: int = 0
    brown_outs: int = 0
    bytes_lost: int = 0
    late: int = 0
    crashed: str = ""


class Silicon:
    """One firmware at a time, strictly request and reply. From a reply until the next request board time is frozen: the host's CPU time
    never enters. on_doing is told whenever what the chip does, and so its current, changes; on_clock
    when it wants another clock, and says whether it has it from now on."""

    def __init__(
        self, clock: BoardClock, pins: BoardPins, *, uart: Uart, firmware: Firmware | None, rng: np.random.Generator, spec: BoardSpec
    ) -> None:
        self._clock, self._pins, self._uart, self._firmware = clock, pins, uart, firmware
        self.spec = spec
        self.truth: Truth
        self.on_doing: Callable[[Doing], None] = lambda _doing: None
        self.on_clock: Callable[[float], bool] = lambda _hz: False
        self.doing = Doing(State.UNPOWERED, Phase.OFF)
        self.counts = Counts()
        self._counter = Counter(Oscillator(0.0))
        self._timer: Timer | None = None
        self._deepen: Timer | None = None
        self._wait: Wait | None = None
        self._timer_due_ns: float | None = None
        self.redraw(rng)
        self._forget()

    def redraw(self, rng: np.random.Generator) -> None:
        """Another specimen of the same chip."""
        self._dispersion = Dispersion(self.spec, rng)
        self._counter.replace(self._dispersion.oscillator_of(self.spec, rng), self._clock.now_ns())
        self._factors = (1.0, 1.0)

    def own_ns(self) -> float:
        """The chip's own counter, with its frequency error."""
        return self._counter.reading_ns(self._clock.now_ns())

    @property
    def clock_rate(self) -> float:
        """Of its oscillator, at this moment."""
        return self._counter.oscillator.rate(self._clock.now_ns())

    def _after_ns(self, t_ns: float, own_ns: float) -> float:
        """Board time when own_ns of the oscillator have passed since t_ns."""
        oscillator = self._counter.oscillator
        return oscillator.when_ns(oscillator.elapsed_ns(t_ns) + own_ns)

    # --- supply

    def power_on(self) -> None:
        self.counts.boots += 1
        self._do(Doing(State.STARTING, Phase.RAMP))
        self._timer = self._clock.call_at(self._clock.now_ns() + round(self.spec.boot_s * 1e9), self._run_firmware, urgency=Urgency.ACTIVE)

    def power_off(self, *, brown_out: bool) -> None:
        self.counts.brown_outs += brown_out
        if self._firmware is not None:
            self._firmware.kill()
        for timer in (self._timer, self._deepen):
            if timer is not None:
                timer.cancel()
        self._uart.power_lost()
        self._pins.set_mark(0)
        self._forget()
        self._do(Doing(State.UNPOWERED, Phase.OFF))
        self._clock.thaw(_OWNER)

    def _forget(self) -> None:
        """What a reset clears."""
        self._wait = None
        self._timer = None
        self._deepen = None
        self._received = bytearray()
        self._fresh_event = True
        self._trig_enabled = self._trig_latched = False
        self._timer_due_ns = None
        self._timer_last_ns = 0.0
        self._owed_ns = 0.0
        self._alive = False

    def _run_firmware(self) -> None:
        self._timer = None
        if self._firmware is None:
            self._do(Doing(State.BUSY_POLL, Phase.IDLE))
            return
        self._alive = True
        self.truth.boots()
        self._clock.freeze(_OWNER)
        self._firmware.start(self._on_request, self._on_end)

    def _on_end(self, reason: str) -> None:
        """It ended by itself: the core hangs in its fault loop until the supply goes."""
        self.counts.crashed = reason
        if self._timer is not None:
            self._timer.cancel()
        self._forget()
        self._do(Doing(State.BUSY_POLL, Phase.IDLE))
        self._clock.thaw(_OWNER)

    # --- the outside

    def trig(self, level: int) -> None:
        """Only a rising edge matters."""
        if not level:
            return
        if self._wait is not None and self._wait.wanted & TRIG:
            self._wake(TRIG, self._clock.now_ns())
        elif self._trig_enabled:
            self._trig_latched = True

    def byte_arrives(self, byte: int) -> None:
        """At the end of its stop bit. Lost while the UART has no clock, the one that wakes included."""
        clocked = self._alive and self.doing.state not in SLEEPING and self.doing.state is not State.STARTING
        if not clocked or len(self._received) >= _RECEIVE_LIMIT:
            self.counts.bytes_lost += 1
        else:
            self._received.append(byte)
        if self._wait is not None and self._wait.wanted & UART_RX:
            self._wake(UART_RX, self._clock.now_ns())

    # --- requests

    def _on_request(self, request: Request) -> None:
        match request.op:
            case Op.SPEND:
                self._spend(request)
            case Op.OPERATE:
                self._operate(request)
            case Op.WAIT:
                self._begin_wait(request)
            case Op.UART_FLUSH:
                self._pass_until(self._uart.sent_at_ns(), Doing(State.WFI, Phase.IDLE))
            case Op.PIN:
                self._pins.set_mark(request.b)
                self._reply()
            case Op.UART_TX:
                self._uart.send(request.payload)
                self._reply()
            case Op.UART_RX:
                taken = bytes(self._received[: request.c])
                del self._received[: len(taken)]
                self._reply(value=len(taken), payload=taken)
            case Op.TIMER_AT:
                self._set_timer(request)
                self._reply()
            case Op.NOW:
                self._reply()
            case Op.CLOCK:
                self._reply(value=int(self.on_clock(float(request.c))))

    def _reply(self, *, events: int = 0, value: int = 0, payload: bytes = b"") -> None:
        """Answer now; time is frozen until the next request."""
        self._clock.freeze(_OWNER)
        assert self._firmware is not None
        self._firmware.reply(Reply(round(self.own_ns()), events, value, payload))

    def _spend(self, request: Request) -> None:
        took_ns = self._takes_ns(request.c)
        doing = Doing(State.RUNNING, Phase(request.a & 7), min(request.b, 100) / 100, self._factors[1])
        self._pass_until(self._clock.now_ns() + took_ns, doing)

    def _operate(self, request: Request) -> None:
        """Where the engine has none of these, the core has done them: it says for how many cycles."""
        operation = Operation.of(request.a >> 4)
        cycles = 0.0 if operation is None else cycles_of(self.spec.engine, operation, request.b)
        if operation is None or not cycles:
            self._reply(value=0)
            return
        took_ns = self._takes_ns(request.c * cycles)
        doing = Doing(State.RUNNING, Phase(request.a & 7), 0.0, self._factors[1], operation)
        self._pass_until(self._clock.now_ns() + took_ns, doing, value=1)

    def _takes_ns(self, cycles: float) -> int:
        if self._fresh_event:
            self._factors = self._dispersion.event(self.spec)
            self._fresh_event = False
        # What rounding to nanoseconds leaves over goes into the next stretch: however many there are, no cycle is lost.
        exact_ns = cycles / (self.spec.clock_hz * self.clock_rate) * self._factors[0] * 1e9 + self._owed_ns
        took_ns = round(exact_ns)
        self._owed_ns = exact_ns - took_ns
        return took_ns

    def _pass_until(self, t_ns: int, doing: Doing, *, value: int = 0) -> None:
        start_ns = self._clock.now_ns()
        if t_ns <= start_ns:
            self._reply(value=value)
            return
        self._do(doing)

        def done() -> None:
            self._timer = None
            self.truth.span(Span(doing.phase, start_ns, t_ns))
            self._reply(value=value)

        self._timer = self._clock.call_at(t_ns, done, urgency=Urgency.ACTIVE)
        self._clock.thaw(_OWNER)

    def _set_timer(self, request: Request) -> None:
        now = self._clock.now_ns()
        if self._timer_due_ns is not None and self._timer_due_ns <= now:
            self._timer_last_ns = self._timer_due_ns
        base = self._timer_last_ns if request.a & 1 else float(now)
        delay_ns = _signed_48(request.b << 32 | request.c) if request.a & IN_NS else request.c * 1000
        self._timer_due_ns = self._after_ns(base, delay_ns) if delay_ns else None

    # --- WAIT

    def _begin_wait(self, request: Request) -> None:
        now = self._clock.now_ns()
        self.truth.listens()
        wait = Wait(State(min(request.a & ~IN_NS, State.SLEEP_MODEL_OFF)), Phase(request.b >> 8 & 7), request.b & 7, now)
        if wait.wanted & TRIG:
            self._trig_enabled = True
        elif wait.phase in RESTING:
            self._trig_enabled = self._trig_latched = False
        if wait.phase in RESTING:
            self.truth.rest_begins(wait.state, wait.phase)
        unit_ns = 1 if request.a & IN_NS else 1000
        timed_out = None if request.c == NO_TIMEOUT else self._after_ns(now, request.c * unit_ns)
        self._wait = wait
        pending = wait.wanted & ((UART_RX if self._received else 0) | (TRIG if self._trig_latched else 0))
        if pending:
            self._wake(pending, now, slept=False)
            return
        timer = self._timer_due_ns if wait.wanted & TIMER else None
        if timer is not None and (timed_out is None or timer <= timed_out):
            self._wait_until(timer, TIMER)
        elif timed_out is not None:
            self._wait_until(timed_out, 0)
        else:
            self._rest(wait)

    def _wait_until(self, due_ns: float, events: int) -> None:
        wait, due = self._wait, round(due_ns)
        assert wait is not None
        if due <= wait.start_ns:
            self._wake(events, due, slept=False)
            return
        self._rest(wait)
        # Somebody outside is about to act, unless nothing happens for a while.
        patient = wait.phase in RESTING and wait.wanted & (UART_RX | TRIG)
        urgency = Urgency.PATIENT if patient else Urgency.ACTIVE
        self._timer = self._clock.call_at(due, lambda: self._wake(events, due), urgency=urgency)

    def _rest(self, wait: Wait) -> None:
        self._do(Doing(wait.state, wait.phase))
        if wait.state in SLEEPING and self.spec.deep_sleep_a:
            deeper = State.DEEP_RETAINED if wait.state is State.SLEEP_RETAINED else State.DEEP_MODEL_OFF
            due = wait.start_ns + round(self.spec.deep_sleep_after_s * 1e9)
            self._deepen = self._clock.call_at(due, lambda: self._do(replace(self.doing, state=deeper)))
        self._clock.thaw(_OWNER)

    def _wake(self, events: int, event_ns: int, *, slept: bool = True) -> None:
        """End the wait. event_ns: when it happened, before now only for a timer that had expired already."""
        wait = self._wait
        assert wait is not None
        self._wait = None
        for timer in (self._timer, self._deepen):
            if timer is not None:
                timer.cancel()
        self._timer = self._deepen = None
        if events & TIMER:
            self._timer_last_ns, self._timer_due_ns = self._timer_due_ns or 0.0, None
        if events & TRIG:
            self._trig_latched = False
        now = self._clock.now_ns()
        if wait.phase not in RESTING:
            self.truth.span(Span(wait.phase, wait.start_ns, now))
        if events or wait.phase in RESTING:
            self._fresh_event = True
            self.truth.event(_CAUSES[events & -events], event_ns)
        if slept and wait.state in SLEEPING:
            self._start_oscillator(events)
        else:
            self.truth.awake()
            self._reply(events=events, value=self._own_since(event_ns))

    def _own_since(self, t_ns: int) -> int:
        """The chip's own nanoseconds since t_ns, as a reply holds them."""
        return min(round((self._clock.now_ns() - t_ns) * self.clock_rate), 0xFFFFFFFF)

    def _start_oscillator(self, events: int) -> None:
        start_ns = self._clock.now_ns()
        end_ns = start_ns + round(self._dispersion.oscillator(self.spec) * 1e9)
        self._do(Doing(State.STARTING, Phase.WAKE))

        def started() -> None:
            self._timer = None
            self.truth.span(Span(Phase.WAKE, start_ns, end_ns, code=False))
            self.truth.awake()
            self._reply(events=events, value=self._own_since(start_ns))

        self._timer = self._clock.call_at(end_ns, started, urgency=Urgency.ACTIVE)
        self._clock.thaw(_OWNER)

    def _do(self, doing: Doing) -> None:
        if doing != self.doing:
            if self.spec.counter_stops_asleep:
                (self._counter.stop if doing.state in UNCLOCKED else self._counter.go)(self._clock.now_ns())
            self.doing = doing
            self.on_doing(doing)


def _signed_48(bits: int) -> int:
    return bits - (1 << 48) if bits >> 47 else bits
