"""The board's clock: one ordered list of instants that either follows the host's clock or jumps from one to the next."""

from __future__ import annotations

import asyncio
import enum
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# How often the loop goes round after a sleeper was woken, before time may move again: enough for a woken task to wake another that
# wakes a third. More costs host time at every jump (about 15 us each), fewer lets time pass a task that was about to act.
ROUNDS_AFTER_WAKING = 4


class Urgency(enum.Enum):
    """What a timer does to stepped time.

    PASSIVE: runs when time passes by. ACTIVE: makes time pass. PATIENT: makes time pass once the host has been quiet for a while (the
    board waits for an outside event with a time-out: somebody is probably about to cause the event).
    """

    PASSIVE = enum.auto()
    ACTIVE = enum.auto()
    PATIENT = enum.auto()


@dataclass(slots=True, eq=False)
class Timer:
    """Something due at an instant; `cancel` is safe at any time."""

    t_ns: int
    urgency: Urgency
    action: Callable[[], None] | None
    _on_cancel: Callable[[Timer], None] = field(repr=False)

    def cancel(self) -> None:
        if self.action is not None:
            self.action = None
            self._on_cancel(self)


@dataclass(frozen=True, slots=True)
class Behind:
    """How real time was kept. worst_ns: by how much the bench did something later than it was due, at worst, or was told something later
    than it can be placed; late: how often it was told so late, where a followed device shows itself with a delay."""

    worst_ns: int = 0
    late: int = 0


class BoardClock:
    """Integer nanoseconds since the bench started; `run` is the one task that moves it.

    Timers fire in order of time, then of creation, each while `now_ns` is exactly its instant. Real time is the same list paced by the
    host's monotonic clock: `now_ns` never passes a timer that has not fired, so a late host changes when things are computed, not what.
    """

    def __init__(self, *, stepped: bool, patience_s: float = 0.5) -> None:
        self.stepped = stepped
        self._patience_s = patience_s
        self._now = 0
        self._origin = time.monotonic_ns()
        self._heap: list[tuple[int, int, Timer]] = []
        self._created = 0
        self._live = dict.fromkeys(Urgency, 0)
        self._limits: dict[str, int] = {}
        self._frozen: set[str] = set()
        self._unless_awaited: set[str] = set()
        self._sleepers = 0
        self._kick = asyncio.Event()
        self._touched = 0
        self._lenient_until = -1
        self._woken = False
        self._firing = False
        self._behind = Behind()

    def now_ns(self) -> int:
        if not self.stepped and not self._stands_still() and not self._firing:
            reached = time.monotonic_ns() - self._origin
            timer = self._next()
            if timer is not None:
                reached = min(reached, timer.t_ns)
            self._now = max(self._now, reached)
        return self._now

    def at_host_ns(self, host_ns: int) -> int:
        """An instant of the host's monotonic clock (time.monotonic_ns) on this one, in real time."""
        return host_ns - self._origin

    async def sleep_until(self, t_ns: int) -> None:
        self.touch()
        if t_ns <= self.now_ns():
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_at(t_ns, lambda: self._wake(woken), urgency=Urgency.ACTIVE)
        self._sleepers += 1
        try:
            await woken
        finally:
            if not woken.done() or woken.cancelled():
                self._sleepers -= 1
            timer.cancel()

    def call_at(self, t_ns: int, action: Callable[[], None], *, urgency: Urgency = Urgency.PASSIVE) -> Timer:
        """Call `action` when the clock is exactly at t_ns (now, if that is past). It must not block."""
        timer = Timer(max(t_ns, self.now_ns()), urgency, action, self._forget)
        self._created += 1
        heapq.heappush(self._heap, (timer.t_ns, self._created, timer))
        self._live[urgency] += 1
        self._kick.set()
        return timer

    def set_limit(self, owner: str, t_ns: int | None) -> None:
        self.touch()
        if t_ns is None:
            self._limits.pop(owner, None)
        else:
            self._limits[owner] = t_ns
        self._kick.set()

    def freeze(self, owner: str, *, unless_awaited: bool = False) -> None:
        """Time stands still, real time too, until `thaw`: what the owner does next happens at this very instant. Real time catches
        up afterwards, so this costs no time either. unless_awaited: but passes as long as somebody is in `sleep_until`, and stops at
        the very instant that was awaited."""
        self.now_ns()
        (self._unless_awaited if unless_awaited else self._frozen).add(owner)

    def thaw(self, owner: str) -> None:
        self._frozen.discard(owner)
        self._unless_awaited.discard(owner)
        self._kick.set()

    def _stands_still(self) -> bool:
        return bool(self._frozen) or (bool(self._unless_awaited) and not self._sleepers)

    def touch(self) -> None:
        """The host did something: PATIENT timers wait anew."""
        self._touched += 1

    def fell_behind(self, by_ns: int, *, late: int = 0) -> None:
        """This machine was so much slower than real time."""
        self._behind = Behind(max(self._behind.worst_ns, by_ns), self._behind.late + late)

    def behind(self) -> Behind:
        """What was told since this was last asked; nothing in stepped time, in which nobody is late."""
        behind, self._behind = self._behind, Behind()
        return behind

    async def run(self) -> None:
        """Move the clock for ever (cancel to stop)."""
        while True:
            if self._step():
                for _ in range(ROUNDS_AFTER_WAKING if self._woken else 1):
                    await asyncio.sleep(0)
                self._firing = False
            else:
                await self._wait_for_change()

    def _wake(self, woken: asyncio.Future[None]) -> None:
        self._woken = True
        self._sleepers -= 1
        if not woken.done():
            woken.set_result(None)

    def _forget(self, timer: Timer) -> None:
        self._live[timer.urgency] -= 1
        self._kick.set()

    def _next(self) -> Timer | None:
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def _step(self) -> bool:
        """Fire the next timer if its time may come now."""
        self._woken = False
        timer = self._next()
        if timer is None or self._stands_still() or not (self._may_step(timer) if self.stepped else self._is_due(timer)):
            return False
        heapq.heappop(self._heap)
        if not self.stepped:
            self.fell_behind(time.monotonic_ns() - self._origin - timer.t_ns)
        self._now = max(self._now, timer.t_ns)
        self._firing = True
        action, timer.action = timer.action, None
        self._live[timer.urgency] -= 1
        if action is not None:
            action()
        return True

    def _is_due(self, timer: Timer) -> bool:
        return time.monotonic_ns() - self._origin >= timer.t_ns

    def _may_step(self, timer: Timer) -> bool:
        if not (self._live[Urgency.ACTIVE] or self._is_lenient(timer)):
            return False
        limit = min(self._limits.values(), default=timer.t_ns)
        if timer.t_ns > limit:
            self._now = max(self._now, limit)
            return False
        return True

    def _is_lenient(self, timer: Timer) -> bool:
        return self._live[Urgency.PATIENT] > 0 and timer.t_ns <= self._lenient_until

    async def _wait_for_change(self) -> None:
        self._kick.clear()
        touched = self._touched
        try:
            async with asyncio.timeout(self._wait_s()):
                await self._kick.wait()
        except TimeoutError:
            if self.stepped and touched == self._touched:
                patient = (t for t, _, timer in self._heap if timer.action is not None and timer.urgency is Urgency.PATIENT)
                self._lenient_until = min(patient, default=-1)

    def _wait_s(self) -> float | None:
        """How long nothing can happen unless somebody calls; None: for ever."""
        timer = self._next()
        if timer is None or self._stands_still():
            return None
        if not self.stepped:
            return max(0.0, (timer.t_ns + self._origin - time.monotonic_ns()) * 1e-9)
        return self._patience_s if self._live[Urgency.PATIENT] else None
