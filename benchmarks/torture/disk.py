"""A disk that fills up in mid-capture, by itself and to the last byte: named, marked, safe, and on when there is space again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.torture.faults import OFF_S, Harm, goes_on, harmed, judge
from benchmarks.torture.found import Found, Unexpected
from benchmarks.torture.plans import FLOORS
from benchmarks.torture.served import off_after, powered, served, stays_off
from labd.store.reserve import RESERVE
from tests.cli.bench_apart import Bench, bench_apart

SMALL_DISK = 60 << 20
LEFT = 256 << 10
LONG = FLOORS.replace('floor_time = "1 s"', 'floor_time = "15 s"')
NAMED = ("space", "full")
FULL_S = 8.0  # so long not a byte is free, while the job ends
AGAIN_S = 60.0  # then the daemon has found that there is space again
PIECE = b"\0" * (64 << 10)
PAUSE_S = 0.002


def full_disk(folder: Path, found: Found) -> None:
    """labd's own samples take the last of it, and nobody else wants any."""
    with bench_apart(folder) as bench, _small_disk(folder / "store") as store:
        _tell_least(bench)
        with served(bench.file, folder) as daemon:
            ballast = store / "ballast"
            harmed(found, bench, daemon, Harm(partial(_fill, ballast, store), ballast.unlink, NAMED), LONG)


def spent_reserve(folder: Path, found: Found) -> None:
    """Another process takes every byte that becomes free, also what labd had set aside: the job ends, and nobody can write that down."""
    with bench_apart(folder) as bench, _small_disk(folder / "store") as store:
        _tell_least(bench)
        with served(bench.file, folder) as daemon:
            job, following = daemon.submit(LONG, "harmed"), daemon.submit(FLOORS, "following")
            daemon.until_capturing(job)
            daemon.post("queue/pause")
            waits = daemon.job(following)
            daemon.until_capturing(job)
            found.expect(powered(bench), "the board was not on when the disk was filled")
            with _eaten(store):
                took_s = off_after(bench, time.monotonic(), limit_s=OFF_S)
                found.expect(took_s <= OFF_S, f"off and discharged after {took_s:.2f} s, while the disk is full")
                found.expect(stays_off(bench, FULL_S), "the board is on although the disk is full")
                found.expect(daemon.alive, "the daemon died of a full disk")
                found.expect(daemon.job(following) == waits, f"the waiting job is another: {daemon.job(following)}")
            row = daemon.until_ended(job, within_s=AGAIN_S)
            judge(found, daemon, row, NAMED)
            daemon.post("queue/resume")
            goes_on(found, daemon, following)
            found.say(f"full for {FULL_S:g} s: off and discharged after {took_s:.2f} s, then {row['error']}, the next job finished")


def _tell_least(bench: Bench) -> None:
    bench.file.write_text(bench.file.read_text() + '\n[storage]\nleast_free = "1 kB"\n')


def _fill(ballast: Path, store: Path) -> None:
    ballast.write_bytes(b"\0" * max(0, _free(store) - LEFT))


def _free(store: Path) -> int:
    disk = os.statvfs(store)
    return disk.f_bavail * disk.f_frsize


@contextmanager
def _eaten(store: Path) -> Iterator[None]:
    """Not a byte is free; afterwards everything is again."""
    full = threading.Event()
    ballast = store / "ballast"

    def eat() -> None:
        with ballast.open("ab", buffering=0) as file:
            while not full.wait(PAUSE_S):
                with contextlib.suppress(OSError):  # nothing left: what is asked for
                    while file.write(PIECE):
                        pass

    thread = threading.Thread(target=eat, name="eater")
    (store / RESERVE).unlink(missing_ok=True)
    thread.start()
    try:
        yield
    finally:
        full.set()
        thread.join()
        ballast.unlink()


@contextmanager
def _small_disk(path: Path) -> Iterator[Path]:
    """A tmpfs. Raises Unexpected for who may not mount one."""
    if os.geteuid():
        raise Unexpected("not tried: a small disk is a tmpfs, which only root may mount; run this case as root")
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(path)], check=True, stdout=sys.stderr)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
