"""A guard process and pretended daemons around a virtual bench in real time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from labd.guard import journal as guard_journal
from labd.guard import wire
from labd.guard.holder import Holder
from labd.guard.wire import Armament, GuardedSource
from labd_instruments.contract import OffAssurance
from tests.cli.bench_apart import Bench

SEEN_S = 30.0
POLL_S = 0.01
OFF_V = 0.1  # limits.off_voltage of the demo bench
ON_V = 2.9


@dataclass(slots=True)
class GuardProcess:
    """`python -m labd.guard` with its files in `folder`."""

    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = field(default=None)

    @property
    def socket(self) -> Path:
        return self.folder / "guard.sock"

    @property
    def journal(self) -> Path:
        return self.folder / "guard.jsonl"

    def entries(self, what: str) -> list[guard_journal.Entry]:
        return [entry for entry in guard_journal.read(self.journal) if entry.what == what]

    def start(self) -> None:
        before = len(self.entries("started"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "labd.guard", "--socket", str(self.socket), "--journal", str(self.journal), *self.options],
            text=True,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: len(self.entries("started")) > before)  # it listens before it says so

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextmanager
def guard_process(folder: Path, *options: str) -> Iterator[GuardProcess]:
    guard = GuardProcess(folder, options)
    guard.start()
    try:
        yield guard
    finally:
        guard.end()


def armament(resource: str, *, assurance: OffAssurance = OffAssurance.SECOND_SESSION, heartbeat_s: float = 1.0) -> Armament:
    options = {"channel": 1, "marker_channel": 2, "fire_pin": 3}
    source = GuardedSource("smu", "keysight_n6705c", resource, assurance, options)
    return Armament("demo", (source,), off_voltage_v=OFF_V, off_time_s=2.0, heartbeat_s=heartbeat_s)


@contextmanager
def daemon(guard: GuardProcess, arms: Armament, behaviour: str = "beat") -> Iterator[subprocess.Popen[str]]:
    """A pretended daemon whose output is on."""
    script = Path(__file__).with_name("pretend_daemon.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(guard.socket), json.dumps(wire.write_armament(arms)), behaviour],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "on"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def gone(pid: int) -> bool:
    return Holder.of(pid) is None


def until(seen: Callable[[], bool], within_s: float = SEEN_S) -> float:
    """Seconds until it is seen; fails when it is not."""
    begun_s = time.monotonic()
    while not seen():
        if time.monotonic() - begun_s > within_s:
            raise AssertionError(f"not seen within {within_s:g} s")
        time.sleep(POLL_S)
    return time.monotonic() - begun_s


def safe(bench: Bench) -> bool:
    """Off by the instrument's own account, and the board discharged."""
    return not bench.output_on() and bench.board()["voltage_v"] < OFF_V


def powered(bench: Bench) -> bool:
    return bench.output_on() and bench.board()["voltage_v"] > ON_V
