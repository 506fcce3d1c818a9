"""The family's trigger model: blocks run against board time, advanced to the present whenever somebody looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from labd_virtual.scpi_errors import ScpiError

_ENDLESS = 10**12
_MOST_STEPS = 100_000  # blocks executed in one look; a loop of zero-time blocks would never end otherwise
WAITING_NS = 100_000_000  # "in the same wait block for more than 100 ms": 2461-901-01 p. 6-235


class Stage(Protocol):
    """What blocks need of the instrument."""

    def clear(self, buffer: str | None) -> None: ...

    def digitize(self, buffer: str | None, start_ns: int) -> Run: ...

    def measure(self, buffer: str | None, start_ns: int) -> Run: ...

    def find_events(self, name: str, start_ns: int, end_ns: int) -> list[int]:
        """Instants of an event (`DIG1`, `COMM`) in [start, end)."""

    def notify(self, number: int, t_ns: int) -> None: ...

    def capacity(self, buffer: str | None) -> int: ...

    def source_level(self, volt: float) -> None: ...

    def output(self, *, on: bool) -> None: ...


class Run(Protocol):
    """Samples under way: `upto(n)` stores the first n of them; step_ns may be a fraction."""

    step_ns: float

    def upto(self, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Block:
    """kind: BUFF, WAIT, DIG, MEAS, NOT, COUN, DEL, ALW, EVEN, LOOP, NEXT (the next of `levels`) or OUTP (on where count is 1); the other
    fields are those its kind uses."""

    kind: str
    buffer: str | None = None
    count: float = 1
    event: str = ""
    enter: bool = False
    target: int = 0
    delay_ns: int = 0
    position: float = 0.0
    levels: tuple[float, ...] = ()


@dataclass(slots=True)
class _Progress:
    """An acquisition or delay in which the model (or its background) is."""

    run: Run
    start_ns: int
    count: float
    stored: int = 0

    def end_ns(self) -> float:
        return math.inf if math.isinf(self.count) else self.start_ns + self.count * self.run.step_ns

    def advance(self, now_ns: float) -> None:
        ready = int((now_ns - self.start_ns + 0.5) / self.run.step_ns)
        ready = min(ready, _ENDLESS if math.isinf(self.count) else int(self.count))
        if ready > self.stored:
            self.run.upto(ready)
            self.stored = ready


class TriggerModel:
    """Blocks by number; `initiate`, then `advance` to any later board time."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.blocks: dict[int, Block] = {}
        self.state = "EMPTY"
        self._at = self._t_ns = self._seen_ns = self._entered_ns = 0
        self._here: _Progress | None = None
        self._behind: _Progress | None = None
        self._fill_ns: int | None = None
        self._counts: dict[int, int] = {}

    def load(self, blocks: dict[int, Block]) -> None:
        self._not_running()
        self.blocks = blocks
        self.state = "IDLE" if blocks else "EMPTY"

    def set_block(self, number: int, block: Block) -> None:
        """Raises ScpiError(-221) while running, or when measure and digitize blocks would stand in one model (p. 6-202)."""
        self._not_running()
        kinds = {b.kind for n, b in self.blocks.items() if n != number} | {block.kind}
        if {"DIG", "MEAS"} <= kinds:
            raise ScpiError(-221)
        if number > max(self.blocks, default=0) + 1:
            raise ScpiError(-221)
        self.blocks[number] = block
        self.state = "BUILDING"

    @property
    def running(self) -> bool:
        return self.state in ("RUNNING", "WAITING")

    @property
    def block(self) -> int:
        return self._at

    def initiate(self, now_ns: int) -> None:
        """Raises ScpiError(-213) when running, -221 without blocks."""
        if self.running:
            raise ScpiError(-213)
        if not self.blocks:
            raise ScpiError(-221)
        self._clear_run()
        self.state, self._at, self._t_ns, self._seen_ns, self._entered_ns = "RUNNING", 1, now_ns, now_ns, now_ns
        self.advance(now_ns)

    def abort(self, now_ns: int) -> None:
        if self.running:
            self.advance(now_ns)
        if self.running:
            self.state = "ABORTED"
        self._here = self._behind = None

    def advance(self, now_ns: int) -> None:
        """Run as far as board time `now_ns` allows."""
        for _ in range(_MOST_STEPS):
            if not self.running:
                return
            if not self._step(now_ns):
                break
        else:
            self.state = "FAILED"
            return
        if self._behind is not None:
            self._behind.advance(now_ns)
        if self.running:
            waiting = self.blocks[self._at].kind == "WAIT" and now_ns - self._entered_ns > WAITING_NS
            self.state = "WAITING" if waiting else "RUNNING"

    def next_ns(self) -> int | None:
        """When the finite stage under way ends (board time), None when only an event can move the model on."""
        if not self.running:
            return None
        if self._here is not None:
            end = self._here.end_ns()
            return self._fill_ns if math.isinf(end) else math.ceil(end)
        if self.blocks[self._at].kind == "DEL":
            return self._entered_ns + self.blocks[self._at].delay_ns
        return None

    def _step(self, now_ns: int) -> bool:
        """Execute the present block; False when it cannot be left yet."""
        block = self.blocks.get(self._at)
        if block is None:
            self._finish(now_ns)
            return False
        leave: Callable[[Block, int], int | None] = getattr(self, f"_do_{block.kind.lower()}")
        target = leave(block, now_ns)
        if target is None:
            return False
        self._at, self._entered_ns = target, self._t_ns
        return True

    def _finish(self, now_ns: int) -> None:
        if self._behind is not None:  # an endless count goes on in the background until the model ends
            self._behind.advance(min(now_ns, self._t_ns))
        self._behind = None
        self.state, self._at = "IDLE", self._at - 1

    def _do_buff(self, block: Block, _: int) -> int:
        self._stage.clear(block.buffer)
        return self._at + 1

    def _do_dig(self, block: Block, now_ns: int) -> int | None:
        return self._acquire(block, now_ns, self._stage.digitize)

    def _do_meas(self, block: Block, now_ns: int) -> int | None:
        return self._acquire(block, now_ns, self._stage.measure)

    def _acquire(self, block: Block, now_ns: int, begin: Callable[[str | None, int], Run]) -> int | None:
        if self._here is None:
            if self._behind is not None:
                self._behind.advance(self._t_ns)
                self._behind = None
            if block.count == 0:
                return self._at + 1
            progress = _Progress(begin(block.buffer, self._t_ns), self._t_ns, block.count)
            if math.isinf(block.count):
                self._behind = progress
                return self._at + 1
            self._here = progress
        self._here.advance(now_ns)
        if self._here.end_ns() > now_ns + 0.5:
            return None
        self._t_ns, self._here = math.ceil(self._here.end_ns()), None
        return self._at + 1

    def _do_loop(self, block: Block, now_ns: int) -> int | None:
        """Readings until the event, then the share of the buffer that `position` leaves for after it (2461-901-01 p. 6-230)."""
        capacity = self._stage.capacity(block.buffer)
        before = round(capacity * block.position / 100)
        if self._here is None:
            begin = self._stage.digitize if block.target else self._stage.measure
            self._here = _Progress(begin(block.buffer, self._t_ns), self._t_ns, math.inf)
            self._fill_ns = math.ceil(self._t_ns + before * self._here.run.step_ns)
        if math.isinf(self._here.count):
            found = self._stage.find_events(block.event, self._entered_ns if block.enter else self._seen_ns, now_ns + 1)
            if found:
                self._here.count = int((found[0] - self._here.start_ns) / self._here.run.step_ns) + capacity - before
        self._here.advance(now_ns)
        if self._here.end_ns() > now_ns + 0.5:
            return None
        self._t_ns, self._here = math.ceil(self._here.end_ns()), None
        return self._at + 1

    def _do_wait(self, block: Block, now_ns: int) -> int | None:
        """The default <clear> is NEVer: an edge seen before the block was reached satisfies it at once (p. 6-209)."""
        since = self._entered_ns if block.enter else self._seen_ns
        found = self._stage.find_events(block.event, since, now_ns + 1)
        if not found:
            return None
        self._t_ns = max(self._t_ns, found[0])
        self._seen_ns = self._t_ns + 1
        return self._at + 1

    def _do_not(self, block: Block, now_ns: int) -> int:
        # An output cannot move in the past: a model that is looked at late notifies late, and goes on from there.
        self._t_ns = max(self._t_ns, now_ns)
        self._stage.notify(int(block.count), self._t_ns)
        return self._at + 1

    def _do_coun(self, block: Block, _: int) -> int:
        """Branch to the target until the block was reached `count` times, then go on and start over."""
        times = self._counts.get(self._at, 0) + 1
        self._counts[self._at] = 0 if times >= block.count else times
        return self._at + 1 if times >= block.count else block.target

    def _do_next(self, block: Block, _: int) -> int:
        passed = self._counts.get(self._at, 0)
        self._counts[self._at] = passed + 1
        self._stage.source_level(block.levels[passed % len(block.levels)])
        return self._at + 1

    def _do_outp(self, block: Block, _: int) -> int:
        self._stage.output(on=bool(block.count))
        return self._at + 1

    def _do_alw(self, block: Block, _: int) -> int:
        return block.target

    def _do_even(self, block: Block, now_ns: int) -> int:
        found = self._stage.find_events(block.event, self._seen_ns, min(now_ns, self._t_ns) + 1)
        if found:
            self._seen_ns = self._t_ns + 1
        return block.target if found else self._at + 1

    def _do_del(self, block: Block, now_ns: int) -> int | None:
        if self._entered_ns + block.delay_ns > now_ns:
            return None
        self._t_ns = self._entered_ns + block.delay_ns
        return self._at + 1

    def _clear_run(self) -> None:
        self._at, self._t_ns, self._seen_ns, self._entered_ns = 0, 0, 0, 0
        self._here = self._behind = self._fill_ns = None
        self._counts = {}

    def _not_running(self) -> None:
        if self.running:
            raise ScpiError(-221)
