"""A hung instrument, a silent board, a pulled cable, a full disk, each in mid-run: named, marked, safe, and on to the next job."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.torture.kill import OFF_V, PLAN
from benchmarks.torture.served import Served, Unexpected, off_after, served
from tests.cli.bad_wire import bad_wire
from tests.cli.bench_apart import Bench, bench_apart

OFF_S = 12.0  # with an instrument that hangs: its read, then a second session; docs/reference/exit-codes.md
SMALL_DISK = 60 << 20
FULL_PLAN = PLAN.replace('floor_time = "2 s"', 'floor_time = "30 s"')


def faults(folder: Path) -> tuple[list[str], list[str]]:
    """What each came to, one line each, and what fell short."""
    said: list[str] = []
    short: list[str] = []
    for name, case in (("hang", _hang), ("silent board", _silent), ("pulled cable", _pulled), ("full disk", _full_disk)):
        here = folder / name.replace(" ", "-")
        here.mkdir()
        try:
            said.append(f"{name}: {case(here)}")
        except Unexpected as error:
            short.append(f"{name}: {error}")
    return said, short


def _hang(folder: Path) -> str:
    with bench_apart(folder) as bench, served(bench.file, folder) as daemon:
        return _harmed(bench, daemon, lambda: bench.hang(on=True), lambda: bench.hang(on=False), "smu")


def _silent(folder: Path) -> str:
    """A port on which nobody is: a pseudo-terminal without a board behind it."""
    here, there = os.openpty()
    try:
        with bench_apart(folder) as bench:
            text = bench.file.read_text()
            port = next(line for line in text.splitlines() if line.startswith("port ="))
            file = bench.file_with(folder / "silent.toml", port, f'port = "{os.ttyname(there)}"')
            with served(file, folder) as daemon:
                row = daemon.until_ended(daemon.submit(PLAN))
                _expect(row["state"] == "failed", f"the job ended {row['state']}")
                _expect("does not answer" in row["error"] or "no answer" in row["error"], f"the error does not name it: {row['error']}")
                off_after(bench, OFF_V, within_s=OFF_S)
                _expect(daemon.alive, "the daemon died")
                return str(row["error"])
    finally:
        os.close(here)
        os.close(there)


def _pulled(folder: Path) -> str:
    with bench_apart(folder) as bench, bad_wire(bench.resource) as wire:
        file = bench.file_with(folder / "wired.toml", bench.resource, wire.resource)
        with served(file, folder) as daemon:
            return _harmed(bench, daemon, wire.cut, lambda: None, "smu")


def _full_disk(folder: Path) -> str:
    """The store on a file system of its own, small enough for a capture to fill it."""
    with bench_apart(folder) as bench, _small_disk(folder / "store") as store:
        text = bench.file.read_text() + '\n[storage]\nleast_free = "1 kB"\n'
        bench.file.write_text(text)
        with served(bench.file, folder) as daemon:
            job = daemon.submit(FULL_PLAN)
            daemon.until_capturing(job)
            ballast = store / "ballast"
            free = os.statvfs(store).f_bavail * os.statvfs(store).f_frsize
            ballast.write_bytes(b"\0" * max(0, free - (256 << 10)))
            row = daemon.until_ended(job)
            _expect(row["state"] == "failed", f"the job ended {row['state']}")
            _expect("space" in row["error"] or "full" in row["error"], f"the error does not name the disk: {row['error']}")
            off_after(bench, OFF_V, within_s=OFF_S)
            states = {one["state"] for one in daemon.captures(row["run_id"])}
            _expect(bool(states & {"failed", "interrupted"}) and "recording" not in states, f"the capture is not marked: {states}")
            ballast.unlink()
            after = daemon.until_ended(daemon.submit(PLAN))
            _expect(after["state"] == "finished", f"the next job ended {after['state']}: {after['error']}")
            return str(row["error"])


def _harmed(bench: Bench, daemon: Served, harm: Callable[[], None], heal: Callable[[], None], named: str) -> str:
    """One job in mid-capture is harmed, the next one finds a bench that works again."""
    job, following = daemon.submit(PLAN), daemon.submit(PLAN)
    daemon.until_capturing(job)
    harm()
    row = daemon.until_ended(job)
    heal()
    _expect(row["state"] == "failed", f"the job ended {row['state']}")
    _expect(named in row["error"], f"the error does not name the instrument: {row['error']}")
    states = {one["state"] for one in daemon.captures(row["run_id"])}
    _expect(bool(states & {"failed", "interrupted"}) and "recording" not in states, f"the capture is not marked: {states}")
    after = daemon.until_ended(following)
    _expect(after["state"] == "finished", f"the next job ended {after['state']}: {after['error']}")
    off_after(bench, OFF_V, within_s=OFF_S)
    _expect(daemon.alive, "the daemon died")
    return str(row["error"])


@contextmanager
def _small_disk(path: Path) -> Iterator[Path]:
    """A tmpfs. Needs root, as CI has."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(path)], check=True, stdout=sys.stderr)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def _expect(held: bool, text: str) -> None:  # noqa: FBT001
    if not held:
        raise Unexpected(text)
