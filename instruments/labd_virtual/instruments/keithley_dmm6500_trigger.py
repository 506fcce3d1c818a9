"""The DMM6500's trigger model: numbered blocks, run against board time and brought up to the present whenever somebody looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from labd_virtual.scpi_errors import ScpiError

MOST_BLOCKS = 63
WAITING_NS = 100_000_000  # a wait is reported as one only after this long
_MOST_STEPS = 200_000  # in one look; a loop of blocks that take no time would never end otherwise
_LATE_NS = 1_000_000  # of the trap: what the digitizer loses when it begins anew


class Run(Protocol):
    stored: int

    def complete(self, t_ns: int) -> int: ...

    def end_ns(self, count: int) -> int: ...

    def upto(self, count: int) -> None: ...

    def interrupt(self, gap_ns: int) -> None: ...


class Stage(Protocol):
    """What blocks need of the instrument."""

    def clear(self, buffer: str | None) -> None: ...

    def begin(self, buffer: str | None, start_ns: int) -> Run: ...

    def usual_count(self) -> int: ...

    def capacity(self, buffer: str | None) -> int: ...

    def find_events(self, name: str, start_ns: int, end_ns: int) -> list[int]:
        """Instants in [start, end)."""

    def notify(self, number: int, t_ns: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Block:
    """kind: BUFF, DEL, MDIG, WAIT, NOT, COUN, ALW or NOP. count: math.inf goes on behind what follows, 0 ends that, -1 is AUTO."""

    kind: str
    buffer: str | None = None
    count: float = 1
    events: tuple[str, ...] = ()
    every: bool = False
    enter: bool = False
    target: int = 0
    delay_ns: int = 0


class TriggerModel:
    """Blocks by number. trap: `stale_edge` or `gap`."""

    def __init__(self, stage: Stage, trap: str = "") -> None:
        self._stage, self._trap = stage, trap
        self.blocks: dict[int, Block] = {}
        self.state, self.at = "EMPTY", 0
        self._t_ns = self._entered_ns = self._seen_ns = 0
        self._run: Run | None = None
        self._goal: int | None = None
        self._laps: dict[int, int] = {}

    @property
    def running(self) -> bool:
        return self.state in ("RUNNING", "WAITING")

    def load(self, blocks: list[Block]) -> None:
        """In place of all that was there."""
        self._refuse_while_running()
        self.blocks = dict(enumerate(blocks, 1))
        self.state, self.at = ("IDLE" if blocks else "EMPTY"), 0

    def set_block(self, number: int, block: Block) -> None:
        """Raises ScpiError(-221) while the model runs or when a number is left out."""
        self._refuse_while_running()
        if number > max(self.blocks, default=0) + 1:
            raise ScpiError(-221)
        self.blocks[number] = block
        self.state = "BUILDING"

    def initiate(self, now_ns: int) -> None:
        """Raises ScpiError(-213) when it runs, -221 when there is nothing to run."""
        if self.running:
            raise ScpiError(-213)
        if not self.blocks:
            raise ScpiError(-221)
        self._t_ns = self._entered_ns = self._seen_ns = now_ns
        self._run, self._goal, self._laps = None, None, {}
        self.state, self.at = "RUNNING", 1
        self.advance(now_ns)

    def abort(self, now_ns: int) -> bool:
        """Whether there was anything to abort."""
        self.advance(now_ns)
        was = self.running
        if was:
            self.state = "ABORTED"
        self._run = None
        return was

    def advance(self, now_ns: int) -> None:
        for _ in range(_MOST_STEPS):
            if not self.running:
                return
            if not self._step(now_ns):
                break
        else:
            self.state = "FAILED"
            return
        if self._run is not None and self._goal is None:
            self._run.upto(self._run.complete(now_ns))
        if self.running:
            waits = self.blocks[self.at].kind == "WAIT" and now_ns - self._entered_ns > WAITING_NS
            self.state = "WAITING" if waits else "RUNNING"

    def next_ns(self) -> int | None:
        """When the present block ends by itself, or when readings behind a wait have filled what the block after it leaves free."""
        block = self.blocks.get(self.at)
        if block is None or not self.running:
            return None
        if block.kind == "DEL":
            return self._entered_ns + block.delay_ns
        if self._run is None:
            return None
        if self._goal is not None:
            return self._run.end_ns(self._goal)
        after = self.blocks.get(self.at + 1)
        if block.kind != "WAIT" or after is None or after.kind != "MDIG" or math.isinf(after.count):
            return None
        return self._run.end_ns(max(0, self._stage.capacity(after.buffer) - int(after.count)))

    def _step(self, now_ns: int) -> bool:
        block = self.blocks.get(self.at)
        if block is None:
            if self._run is not None:
                self._run.upto(self._run.complete(self._t_ns))
            self._run, self.state, self.at = None, "IDLE", self.at - 1
            return False
        target: int | None = getattr(self, f"_do_{block.kind.lower()}")(block, now_ns)
        if target is None:
            return False
        self.at, self._entered_ns = target, self._t_ns
        return True

    def _do_nop(self, _: Block, __: int) -> int:
        return self.at + 1

    def _do_buff(self, block: Block, _: int) -> int:
        self._stage.clear(block.buffer)
        return self.at + 1

    def _do_del(self, block: Block, now_ns: int) -> int | None:
        if self._entered_ns + block.delay_ns > now_ns:
            return None
        self._t_ns = self._entered_ns + block.delay_ns
        return self.at + 1

    def _do_mdig(self, block: Block, now_ns: int) -> int | None:
        """An endless count goes on behind; a finite one that follows takes over where it is, in step with it."""
        if math.isinf(block.count) or block.count == 0:
            if self._run is not None:
                self._run.upto(self._run.complete(self._t_ns))
            self._run = self._stage.begin(block.buffer, self._t_ns) if block.count else None
            return self.at + 1
        if self._goal is None:
            behind = self._run is not None
            self._run = self._run or self._stage.begin(block.buffer, self._t_ns)
            self._run.upto(self._run.complete(self._t_ns))
            self._goal = self._run.stored + (self._stage.usual_count() if block.count < 0 else int(block.count))
            if behind and self._trap == "gap":
                self._run.interrupt(_LATE_NS)
        run, goal = self._run, self._goal
        assert run is not None
        run.upto(min(goal, run.complete(now_ns)))
        if run.end_ns(goal) > now_ns:
            return None
        run.upto(goal)
        self._t_ns, self._run, self._goal = run.end_ns(goal), None, None
        return self.at + 1

    def _do_wait(self, block: Block, now_ns: int) -> int | None:
        """Without ENTer an event that came before the block was reached ends the wait at once (the default <clear> is NEVer)."""
        if self._trap == "stale_edge":
            return self.at + 1
        since = self._entered_ns if block.enter else self._seen_ns
        found = [min(times) for name in block.events if (times := self._stage.find_events(name, since, now_ns + 1))]
        if not found or (block.every and len(found) < len(block.events)):
            return None
        self._t_ns = max(self._t_ns, max(found) if block.every else min(found))
        self._seen_ns = self._t_ns + 1
        return self.at + 1

    def _do_not(self, block: Block, now_ns: int) -> int:
        self._t_ns = max(self._t_ns, now_ns)  # no line moves in the past
        self._stage.notify(int(block.count), self._t_ns)
        return self.at + 1

    def _do_coun(self, block: Block, _: int) -> int:
        laps = self._laps.get(self.at, 0) + 1
        self._laps[self.at] = 0 if laps >= block.count else laps
        return self.at + 1 if laps >= block.count else block.target

    def _do_alw(self, block: Block, _: int) -> int:
        return block.target or MOST_BLOCKS + 1  # block 0 ends the model

    def _refuse_while_running(self) -> None:
        if self.running:
            raise ScpiError(-221)
