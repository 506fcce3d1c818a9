"""How late triggers are written by labd's process, by a bare real-time loop in C, by asyncio.sleep: over a pty and TCP, idle and busy."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.ratios.figures import Ratio
from labd.trigger.firing import Bytes, Missed
from labd.trigger.process import Trigger, trigger

ROUNDS = 12
COUNT = 200
PERIOD_NS = 3_000_000
LEAD_NS = 100_000_000
SPIN_NS = 300_000  # as labd.trigger spins
HOGS = 2
OWN, BARE, ASYNCIO = "labd's process", "bare real-time loop (C)", "asyncio.sleep"
LEAST = 0.5  # within 2 times at p99

Lateness = list[int]  # ns, from the planned instant to the return of the write
Contestant = Callable[[int], Coroutine[None, None, Lateness]]  # by a descriptor


@dataclass(frozen=True, slots=True)
class Series:
    """One contestant under one condition: the lateness of each round, ns."""

    over: str
    load: str
    who: str
    rounds: tuple[Lateness, ...]

    @property
    def all_us(self) -> list[float]:
        return sorted(late_ns * 1e-3 for one in self.rounds for late_ns in one)


def trigger_jitter() -> tuple[list[Ratio], list[Series]]:
    """Ratios of p50 and p99, other to own, each of all rounds together, and of each half of them; and what they were made of."""
    with tempfile.TemporaryDirectory() as folder:
        loop = Path(folder) / "bare_loop"
        subprocess.run(["cc", "-O2", "-o", loop, Path(__file__).with_name("bare_loop.c")], check=True)
        series = asyncio.run(_measured(loop))
    return list(_ratios(series)), series


def table(series: list[Series]) -> Table:
    made = Table("over", "processor", "who", "p50 us", "p99 us", "worst us", box=box.SIMPLE)
    for one in series:
        late_us = one.all_us
        p50, p99 = percentile(late_us, 0.5), percentile(late_us, 0.99)
        made.add_row(one.over, one.load, one.who, f"{p50:.3g}", f"{p99:.3g}", f"{late_us[-1]:.3g}")
    return made


def percentile(ascending: list[float], share: float) -> float:
    return ascending[math.ceil(share * len(ascending)) - 1]


def _ratios(series: list[Series]) -> Iterator[Ratio]:
    own = {(one.over, one.load): one for one in series if one.who == OWN}
    for other in series:
        if other.who == OWN:
            continue
        mine = own[other.over, other.load]
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            # a p99 of one round is its second largest: what a shared machine takes away in it is not the contestant's
            whole = _of(other.rounds, share) / _of(mine.rounds, share)
            halves = [_of(other.rounds[k::2], share) / _of(mine.rounds[k::2], share) for k in (0, 1)]
            bare = other.who == BARE
            yield Ratio(
                "fire at planned instants",
                f"{other.over}, {other.load}: lateness, {name}",
                against=other.who,
                kind="limit" if bare else "peer",
                ratio=whole,
                low=min(halves),
                high=max(halves),
                repeats=ROUNDS,
                least=LEAST if bare and name == "p99" else 0.0,
            )


def _of(rounds: Sequence[Lateness], share: float) -> float:
    return percentile(sorted(float(late_ns) for one in rounds for late_ns in one), share)


async def _measured(loop: Path) -> list[Series]:
    found: list[Series] = []
    for over, opened in (("pty", _pty), ("TCP", _tcp)):
        for load, busy in (("idle", 0), (f"{HOGS} hogs", HOGS)):
            with opened() as (descriptor, drain), _hogs(busy):
                async with trigger(descriptor) as process:
                    contestants: Mapping[str, Contestant] = {OWN: _own(process), BARE: _bare(loop), ASYNCIO: _by_asyncio}
                    found += await _in_turn(over, load, contestants, descriptor, drain)
    return found


async def _in_turn(over: str, load: str, contestants: Mapping[str, Contestant], descriptor: int, drain: Callable[[], None]) -> list[Series]:
    """One round to warm up; every other one backwards."""
    rounds: dict[str, list[Lateness]] = {who: [] for who in contestants}
    for number in range(ROUNDS + 1):
        for who in list(contestants) if number % 2 else list(contestants)[::-1]:
            late_ns = await contestants[who](descriptor)
            drain()
            if number:
                rounds[who].append(late_ns)
    return [Series(over, load, who, tuple(rounds[who])) for who in contestants]


def _own(process: Trigger) -> Contestant:
    async def run(descriptor: int) -> Lateness:
        start_ns = time.monotonic_ns() + LEAD_NS
        firings = await process.fire(Bytes(descriptor, b"x"), [k * PERIOD_NS for k in range(COUNT)], start_ns=start_ns)
        # an instant that it let pass, the next one being due, is as late as the moment when it said so
        passed = sum(not firing.fired for firing in firings)
        assert not any(firing.missed is Missed.NOT_TAKEN for firing in firings), "the other end took no bytes"
        os.write(descriptor, b"x" * passed)
        return [firing.done_ns - firing.planned_ns for firing in firings]

    return run


def _bare(loop: Path) -> Contestant:
    async def run(descriptor: int) -> Lateness:
        start_ns = time.monotonic_ns() + LEAD_NS
        words = [str(word) for word in (loop, descriptor, start_ns, PERIOD_NS, COUNT, SPIN_NS)]
        process = await asyncio.create_subprocess_exec(*words, pass_fds=(descriptor,), stdout=asyncio.subprocess.PIPE)
        told, _ = await process.communicate()
        assert process.returncode == 0, "the bare loop could not write"
        pairs = [line.split() for line in told.decode().splitlines()]
        return [int(done) - int(planned) for planned, done in pairs]

    return run


async def _by_asyncio(descriptor: int) -> Lateness:
    start_ns = time.monotonic_ns() + LEAD_NS
    late_ns: Lateness = []
    for k in range(COUNT):
        at_ns = start_ns + k * PERIOD_NS
        await asyncio.sleep((at_ns - time.monotonic_ns()) * 1e-9)
        os.write(descriptor, b"x")
        late_ns.append(time.monotonic_ns() - at_ns)
    return late_ns


@contextmanager
def _pty() -> Iterator[tuple[int, Callable[[], None]]]:
    master, slave = os.openpty()
    tty.setraw(slave, termios.TCSANOW)
    try:
        yield slave, lambda: _read(lambda left: len(os.read(master, left)))
    finally:
        os.close(master)
        os.close(slave)


@contextmanager
def _tcp() -> Iterator[tuple[int, Callable[[], None]]]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        theirs, _ = server.accept()
        with theirs:
            yield ours.fileno(), lambda: _read(lambda left: len(theirs.recv(left)))


def _read(some: Callable[[int], int]) -> None:
    """What one contestant wrote, so that the next one finds an empty buffer; less than all of it would wait for ever."""
    left = COUNT
    while left:
        left -= some(left)


@contextmanager
def _hogs(count: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            hog = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(hog.kill)
        yield


def main() -> int:
    """`python -m benchmarks.ratios.trigger_jitter`: lateness in microseconds, and the ratios at p99."""
    ratios, series = trigger_jitter()
    Console(width=120).print(table(series))
    for ratio in ratios:
        print(f"{ratio.what}: {ratio.against} / labd {ratio.ratio:.3g} ({ratio.low:.3g} to {ratio.high:.3g})")
    return int(any(ratio.falls_short for ratio in ratios))


if __name__ == "__main__":
    sys.exit(main())
