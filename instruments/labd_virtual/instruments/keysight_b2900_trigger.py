"""The ARM-TRIGger model of one channel of a B2900A, for its two device actions: acquire and transient.

User's Guide p. 6-27: an action waits for its arm event, after the arm delay for its trigger event, and acts after the trigger delay, as
often as the two counts say. A trigger event that comes while a reading is being taken is lost, which STATus:QUEStionable shows.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from labd_virtual.front_end import Floats, Instants

MOST = 100_000
INFINITE = 2_147_483_647


class State(enum.Enum):
    IDLE = 1  # the bit of the action in STATus:OPERation, above its own base
    TRIGGER = 2
    ARM = 4


@dataclass(slots=True)
class Layer:
    """Settings of an arm or a trigger layer. signals: where a trigger output goes."""

    source: str = "AINT"
    count: int = 1
    delay_s: float = 0.0
    timer_s: float = 2e-5
    bypass: str = "OFF"
    output: bool = False
    signals: tuple[str, ...] = ("EXT1",)


class Stage(Protocol):
    """What the model needs of its channel."""

    timebase: float

    def events(self, source: str, start_ns: int, end_ns: int) -> list[int]:
        """Instants in [start, end) at which BUS or a pin triggers."""

    def pulse(self, signals: Iterable[str], t_ns: int) -> None: ...

    def busy_s(self) -> float:
        """How long one reading occupies the meter."""

    def aperture_s(self) -> float: ...

    def acquire(self, starts: Instants, ends: Instants, at_s: Floats) -> None: ...

    def act(self) -> None: ...

    def ended(self, action: str) -> None: ...


@dataclass(slots=True)
class Run:
    """Readings under way: the k-th begins at start_ns + k * step_ns of board time. at_s, dt_s: the same by the instrument's clock."""

    start_ns: int
    step_ns: float
    width_ns: int
    count: int
    at_s: float
    dt_s: float
    done: int = 0

    def end_ns(self) -> int:
        return self.start_ns + round((self.count - 1) * self.step_ns) + self.width_ns

    def due(self, now_ns: int) -> int:
        return min(self.count, max(0, math.floor((now_ns - self.width_ns - self.start_ns) / self.step_ns + 1e-9) + 1))


@dataclass(slots=True)
class Action:
    """One device action, ACQ or TRAN, and where in its layers it is."""

    name: str
    arm: Layer = field(default_factory=Layer)
    trigger: Layer = field(default_factory=Layer)
    state: State = State.IDLE
    arms: int = 0
    triggers: int = 0
    since_ns: int = 0
    run: Run | None = None
    due_ns: int | None = None
    lost: bool = False


class TriggerModel:
    """Both actions of one channel. outputs: of the device actions themselves (SENSe:TOUTput, SOURce:TOUTput)."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.reset()

    def reset(self) -> None:
        self.actions = {"ACQ": Action("ACQ"), "TRAN": Action("TRAN")}
        self.outputs = {"ACQ": Layer(), "TRAN": Layer()}

    def chosen(self, name: str) -> list[Action]:
        return [self.actions[n] for n in (("ACQ", "TRAN") if name == "ALL" else (name,))]

    @property
    def running(self) -> bool:
        return any(a.state is not State.IDLE for a in self.actions.values())

    def initiate(self, name: str, now_ns: int) -> None:
        for action in self.chosen(name):
            action.state, action.arms, action.since_ns = State.ARM, action.arm.count, now_ns
            action.run, action.due_ns, action.lost = None, None, False

    def abort(self, name: str) -> None:
        for action in self.chosen(name):
            if action.state is not State.IDLE:
                action.state, action.run, action.due_ns = State.IDLE, None, None
                self._stage.ended(action.name)

    def waits_for(self, source: str) -> bool:
        """Whether an action waits for an event of this source."""
        layers = [
            a.arm if a.state is State.ARM else a.trigger for a in self.actions.values() if a.state is not State.IDLE and a.run is None
        ]
        return any(layer.source == source for layer in layers)

    def condition(self) -> int:
        """Three bits each: the transient action's below the acquire action's."""
        return self.actions["TRAN"].state.value | self.actions["ACQ"].state.value << 3

    def next_ns(self) -> int | None:
        """The next instant at which something happens by itself."""
        ends = [a.run.end_ns() for a in self.actions.values() if a.run is not None]
        ends += [a.due_ns for a in self.actions.values() if a.due_ns is not None]
        return min(ends, default=None)

    def advance(self, now_ns: int) -> None:
        for action in self.actions.values():
            while action.state is not State.IDLE and self._step(action, now_ns):
                pass

    def force(self, name: str, layer: str, now_ns: int) -> None:
        """:ARM or :TRIGger as a command: the event that the layer waits for."""
        for action in self.chosen(name):
            if layer == "ARM" and action.state is State.ARM:
                self._armed(action, now_ns)
            elif layer == "TRIG" and action.state is State.TRIGGER and action.run is None and action.due_ns is None:
                self._triggered(action, now_ns)

    def _step(self, action: Action, now_ns: int) -> bool:
        """One move of one action, False when it has to wait."""
        if action.run is not None:
            return self._measure(action, action.run, now_ns)
        if action.due_ns is not None:
            return self._act(action, action.due_ns, now_ns)
        layer = action.arm if action.state is State.ARM else action.trigger
        t_ns = self._event(layer, action.since_ns, now_ns)
        if t_ns is None:
            return False
        if action.state is State.ARM:
            self._armed(action, t_ns)
        else:
            self._triggered(action, t_ns)
        return True

    def _event(self, layer: Layer, since_ns: int, now_ns: int) -> int | None:
        if layer.source in ("AINT", "TIM"):
            return since_ns if since_ns <= now_ns else None
        return next(iter(self._stage.events(layer.source, since_ns, now_ns + 1)), None)

    def _armed(self, action: Action, t_ns: int) -> None:
        if action.arm.output:
            self._stage.pulse(action.arm.signals, t_ns)
        action.state, action.triggers = State.TRIGGER, action.trigger.count
        action.since_ns = t_ns + round(action.arm.delay_s * 1e9)

    def _triggered(self, action: Action, t_ns: int) -> None:
        layer = action.trigger
        if layer.output:
            self._stage.pulse(layer.signals, t_ns)
        due_ns = t_ns + round(layer.delay_s * 1e9)
        if action.name == "TRAN":
            action.due_ns = due_ns
            return
        count = action.triggers if layer.source in ("AINT", "TIM") else 1
        busy_s = self._stage.busy_s()
        dt_s = busy_s
        if layer.source == "TIM":
            ticks = math.ceil(busy_s / layer.timer_s - 1e-9)
            dt_s = ticks * layer.timer_s
            action.lost |= ticks > 1
        step_ns = dt_s * 1e9 * (1 + self._stage.timebase)
        action.run = Run(due_ns, step_ns, max(1, round(self._stage.aperture_s() * 1e9)), count, due_ns * 1e-9, dt_s)
        action.triggers -= count

    def _measure(self, action: Action, run: Run, now_ns: int) -> bool:
        due = run.due(now_ns)
        if due > run.done:
            k = np.arange(run.done, due)
            starts = run.start_ns + np.rint(k * run.step_ns).astype(np.int64)
            self._stage.acquire(starts, starts + run.width_ns, run.at_s + k.astype(np.float64) * run.dt_s)
            if self.outputs["ACQ"].output:
                self._stage.pulse(self.outputs["ACQ"].signals, int(starts[-1]))
            run.done = due
        if run.done < run.count:
            return False
        action.run = None
        self._acted(action, run.end_ns())
        return True

    def _act(self, action: Action, due_ns: int, now_ns: int) -> bool:
        if due_ns > now_ns:
            return False
        self._stage.act()
        if self.outputs["TRAN"].output:
            self._stage.pulse(self.outputs["TRAN"].signals, due_ns)
        action.due_ns = None
        action.triggers -= 1
        self._acted(action, due_ns + (round(action.trigger.timer_s * 1e9) if action.trigger.source == "TIM" else 1))
        return True

    def _acted(self, action: Action, t_ns: int) -> None:
        action.since_ns = t_ns
        if action.triggers > 0:
            return
        action.arms -= 1
        action.state = State.ARM if action.arms > 0 else State.IDLE
        if action.state is State.IDLE:
            self._stage.ended(action.name)
