"""A daemon that works for long, watched all the time: its memory, descriptors, threads and tasks stay where they are."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks.torture.found import Found, Unexpected
from benchmarks.torture.plans import SWEEP
from benchmarks.torture.served import Served, served, until
from labd.resources import path as resource
from tests.cli.bench_apart import bench_apart

LARGEST_GROWTH = 0.05
WARM_UP = 0.25  # of the whole: caches and pools fill, the allocator finds its size
LOOK_JOBS = 5  # sizes are medians of the idle daemon after so many jobs
SETTLE_S = 30.0
LOST, MOST_BUSY = "lost)", 0.1  # of a job that fails for want of records, and how many of them a busy machine may make
FLOORS = SWEEP.replace('floor_time = "1 s"', 'floor_time = "20 min"').replace("event_captures = 4", "event_captures = 1")
FLOORS_S = 2 * 2 * 1200.0  # bench time of its floors alone
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Size:
    resident_bytes: int
    descriptors: int
    threads: int
    tasks: int


@dataclass(slots=True)
class Sizes:
    """Of the idle daemon, each after a job."""

    all: list[Size] = field(default_factory=list)

    def line(self, what: str) -> str:
        """Raises Unexpected for a daemon that grew between its warm-up and its end."""
        first = max(LOOK_JOBS, round(WARM_UP * len(self.all)))
        before, after = _middle(self.all[first - LOOK_JOBS : first]), _middle(self.all[-LOOK_JOBS:])
        growth = after.resident_bytes / before.resident_bytes - 1
        line = (
            f"{what}, {len(self.all)} jobs: memory {before.resident_bytes / 1e6:.1f} to {after.resident_bytes / 1e6:.1f} MB "
            f"({100 * growth:+.1f} %), descriptors {before.descriptors} to {after.descriptors}, "
            f"threads {before.threads} to {after.threads}, tasks {before.tasks} to {after.tasks}"
        )
        grown = after.descriptors > before.descriptors or after.threads > before.threads or after.tasks > before.tasks
        if growth > LARGEST_GROWTH or grown:
            raise Unexpected(line)
        return line


def _middle(sizes: list[Size]) -> Size:
    return Size(*(round(median(getattr(size, name) for size in sizes)) for name in ("resident_bytes", "descriptors", "threads", "tasks")))


def soak(folder: Path, found: Found, *, seconds: float) -> None:
    """Short sweeps one after the other, in real time. Raises Unexpected."""
    sizes, busy = Sizes(), list[str]()
    with bench_apart(folder) as bench, served(bench.file, folder) as daemon, _watched(daemon):
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            sizes.all.append(_one(daemon, SWEEP, busy=busy))
            _tell(f"{passed / 60:.1f} of {seconds / 60:.0f} min", sizes)
    if len(busy) > MOST_BUSY * len(sizes.all):
        raise Unexpected(f"{len(busy)} of {len(sizes.all)} jobs lost records: {busy[0]}")
    lost = f"; {len(busy)} jobs lost records and said so" if busy else ""
    found.say(sizes.line(f"soak of {seconds / 60:.0f} min") + lost)


def day(folder: Path, found: Found, *, hours: float) -> None:
    """So many hours of the bench's own time, stepped, on a virtual bench of the daemon's; old runs go by quota. Raises Unexpected."""
    bench = folder / "bench.toml"
    text = (resource("fixtures") / "benches/demo.toml").read_text(encoding="utf-8")
    board = resource("fixtures") / "boards/virtual-m4.toml"
    bench.write_text(text.replace("../boards/virtual-m4.toml", str(board)) + '\n[storage]\nquota = "400 MB"\n', encoding="utf-8")
    sizes, passed_s = Sizes(), 0.0
    with served(bench, folder) as daemon, _watched(daemon):
        while passed_s < hours * 3600:
            sizes.all.append(_one(daemon, FLOORS))
            sizes.all.append(_one(daemon, SWEEP))
            passed_s += FLOORS_S
            _tell(f"{passed_s / 3600:.1f} of {hours:g} h", sizes)
    found.say(sizes.line(f"{hours:g} h of stepped operation"))


@contextmanager
def _watched(daemon: Served) -> Iterator[None]:
    """Somebody looks at the live page all the time, and follows the news."""
    sockets = [connect(str(daemon.http.base_url).replace("http", "ws", 1) + name, max_size=1 << 24) for name in ("live", "news")]
    threads = [threading.Thread(target=_drain, args=(socket,)) for socket in sockets]
    for thread in threads:
        thread.start()
    try:
        yield
        if not all(thread.is_alive() for thread in threads):
            raise Unexpected("the daemon closed the connection of who watched")
    finally:
        for socket in sockets:
            socket.close()
        for thread in threads:
            thread.join()


def _drain(socket: object) -> None:
    try:
        for _ in socket:  # type: ignore[attr-defined]  # websockets' connections are iterable
            pass
    except ConnectionClosed:
        return


def _one(daemon: Served, plan: str, *, busy: list[str] | None = None) -> Size:
    """busy: jobs that say that records were lost, in real time, where another's work may keep the virtual instrument from its own."""
    row = daemon.until_ended(daemon.submit(plan), within_s=600)
    if row["state"] == "failed" and LOST in row["error"] and busy is not None:
        busy.append(row["error"])
    elif row["state"] != "finished":
        raise Unexpected(f"a job of the soak ended {row['state']}: {row['error']}")
    until(lambda: not daemon.get("status")["in_use_by"] or None, within_s=SETTLE_S, what="an idle bench")
    return Size(**daemon.get("status")["process"])


def _tell(passed: str, sizes: Sizes) -> None:
    newest = sizes.all[-1]
    print(f"torture: {passed}, {len(sizes.all)} jobs, {newest}", file=sys.stderr, flush=True)
