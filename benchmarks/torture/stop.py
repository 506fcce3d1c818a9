"""The emergency stop in mid-capture, with jobs that wait: off within two seconds, off for good, and nothing begins."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

from benchmarks.torture.found import Found, Unexpected
from benchmarks.torture.plans import FLOORS, SWEEP
from benchmarks.torture.served import Served, off_after, powered, served, stays_off, until
from labd.store.folder import CATALOGUE
from tests.cli.bench_apart import Bench, bench_apart

OFF_S = 2.0
STAYS_S = 4.0
LOCKED_S = 12.0  # longer than the catalogue itself waits for a lock
ANSWER_S = 60.0
# The command with its modules loaded, waiting for the finger.
COMMAND = """
import sys
from labd.cli.main import main
print("ready", flush=True)
sys.stdin.readline()
main()
"""
HOLD = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def stop_over_http(folder: Path, found: Found) -> None:
    with bench_apart(folder) as bench, served(bench.file, folder) as daemon:
        _stopped(found, bench, daemon, lambda: daemon.post("bench/off"))


def stop_by_command(folder: Path, found: Found) -> None:
    """`labd bench off`. The interpreter's start-up is told, and no part of the two seconds: it is as long as the machine is busy."""
    with bench_apart(folder) as bench, served(bench.file, folder) as daemon:
        began_s = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-c", COMMAND, "bench", "off", str(bench.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as command:
            assert command.stdout is not None
            if command.stdout.readline().strip() != "ready":
                raise Unexpected("the command could not be started")
            found.say(f"{time.monotonic() - began_s:.1f} s of start-up before the command")
            _stopped(found, bench, daemon, lambda: _go(command))


def stop_while_locked(folder: Path, found: Found) -> None:
    """Somebody looks into the catalogue with a tool that locks it: no reason to wait."""
    with bench_apart(folder) as bench, served(bench.file, folder) as daemon:
        _stopped(found, bench, daemon, lambda: daemon.post("bench/off"), locked=True)


def _stopped(found: Found, bench: Bench, daemon: Served, press: Callable[[], object], *, locked: bool = False) -> None:
    """Raises Unexpected."""
    job, waiting = daemon.submit(SWEEP, "stopped"), [daemon.submit(FLOORS, "waits") for _ in range(2)]
    daemon.until_capturing(job)
    found.expect(powered(bench), "the board was not on at the stop")
    with ThreadPoolExecutor(1) as finger:
        with _locked(daemon.store / CATALOGUE) if locked else nullcontext():
            begun_s = time.monotonic()
            pressed = finger.submit(press)
            took_s = off_after(bench, begun_s, limit_s=OFF_S)
            found.expect(took_s <= OFF_S, f"off and discharged {took_s:.2f} s after the stop")
            found.expect(
                math.isinf(took_s) or stays_off(bench, LOCKED_S if locked else STAYS_S), "the board was switched on again after the stop"
            )
        try:
            pressed.result(ANSWER_S)
        except (Unexpected, TimeoutError, OSError) as error:
            found.expect(False, f"the stop was not answered: {type(error).__name__}: {error}")
    try:
        until(lambda: daemon.get("status")["queue"]["paused"] or None, within_s=OFF_S, what="a paused queue")
    except Unexpected:
        found.expect(False, "the queue is not paused after the stop")
    rows = [daemon.job(one) for one in waiting]
    for row in rows:
        found.expect(row["state"] == "queued" and row["started_ns"] is None, f"a waiting job began after the stop: {row['state']}")
    ended = daemon.until_ended(job)
    found.expect(ended["state"] in ("interrupted", "failed"), f"the stopped job is {ended['state']}")
    found.expect(stays_off(bench, 1.0), "the board was switched on again")
    found.expect(daemon.alive, "the daemon died")
    still = sum(row["state"] == "queued" for row in rows)
    found.say(f"off and discharged after {took_s:.2f} s, the stopped job {ended['state']}, {still} jobs still wait")
    daemon.post("queue/resume")
    daemon.until_capturing(next((row["id"] for row in rows if row["state"] == "queued"), waiting[0]))


def _go(command: subprocess.Popen[str]) -> None:
    """Let the command begin, and wait for its end."""
    out, error = command.communicate("go\n", timeout=ANSWER_S)
    if command.returncode:
        raise Unexpected(f"labd bench off ended with {command.returncode}: {out} {error}")


@contextmanager
def _locked(catalogue: Path) -> Iterator[None]:
    """Another process is in the middle of a transaction."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(catalogue)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline().strip() != "held":
            raise Unexpected("the catalogue could not be locked")
        try:
            yield
        finally:
            holder.communicate("")
