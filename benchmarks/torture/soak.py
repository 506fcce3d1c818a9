"""A daemon that works for long: its memory, its descriptors and its threads stay where they are."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from benchmarks.torture.kill import PLAN
from benchmarks.torture.served import Served, Unexpected, served
from tests.cli.bench_apart import bench_apart

LARGEST_GROWTH = 0.05
WARM_UP_JOBS = 3  # caches and pools fill


def soak(folder: Path, seconds: float) -> str:
    """Short sweeps one after the other, in real time. Raises Unexpected."""
    with bench_apart(folder) as bench, served(bench.file, folder) as daemon:
        for _ in range(WARM_UP_JOBS):
            _one(daemon)
        before, began, jobs = _size(daemon), time.monotonic(), 0
        while time.monotonic() - began < seconds:
            _one(daemon)
            jobs += 1
        after = _size(daemon)
    growth = after[0] / before[0] - 1
    line = (
        f"soak of {seconds / 60:.0f} min, {jobs} jobs: memory {before[0] / 1e6:.0f} to {after[0] / 1e6:.0f} MB ({100 * growth:+.1f} %), "
        f"descriptors {before[1]} to {after[1]}, threads {before[2]} to {after[2]}"
    )
    if growth > LARGEST_GROWTH or after[1] > before[1] or after[2] > before[2]:
        raise Unexpected(line)
    return line


def _one(daemon: Served) -> None:
    row = daemon.until_ended(daemon.submit(PLAN), within_s=300)
    if row["state"] != "finished":
        raise Unexpected(f"a job of the soak ended {row['state']}: {row['error']}")


def _size(daemon: Served) -> tuple[int, int, int]:
    """Resident bytes, descriptors and threads of the idle daemon."""
    assert daemon.process is not None
    process = psutil.Process(daemon.process.pid)
    return process.memory_info().rss, process.num_fds(), process.num_threads()
