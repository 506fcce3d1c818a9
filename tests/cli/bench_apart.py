"""A virtual bench as a process of its own, which labd takes for real instruments and a real board; and labd as a process beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from labd import bench_file, resources
from labd.bench.virtual import ControlChannel
from labd.bench_file import virtual
from labd.errors import LabdError
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow, RunRow
from labd.store.trace import Trace
from labd.store.trace_reader import read_trace

T = TypeVar("T")

LABD = (sys.executable, "-m", "labd")
START_S = 60.0  # compiling the firmware may be in it
EXIT_S = 30.0  # three times what docs/reference/exit-codes.md promises: other tests share the machine
POLL_S = 0.02
GUARD_S = 2.0  # for its answer

PLAN = """
schema = 1
name = "long floor"
modes = ["always_on"]
rates = ["0 /s"]
supply = ["{supply}"]
models = ["dnn"]

[captures]
floor_time = "{floor_time}"
event_captures = 0
warm_up_inferences = 0

[conditions]
settle = "20 ms"

[detector]
kind = "host-triggered"
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A running bench and the file that describes it to labd as a real one."""

    process: subprocess.Popen[str]
    control: ControlChannel
    file: Path
    resource: str
    folders: set[Path] = field(default_factory=set)  # of its bench files, and so of its guards' sockets

    def board(self) -> dict[str, Any]:
        """What a probe on the board sees."""
        return self.control.ask(op="board")

    def output_on(self) -> bool:
        """What the instrument itself knows of its output."""
        return bool(self.control.ask(op="output", instrument="smu")["on"])

    def hang(self, *, on: bool) -> None:
        """Sessions that are open stop answering; new ones work."""
        self.control.ask(op="hang", instrument="smu", on=on)

    def file_with(self, path: Path, old: str, new: str) -> Path:
        """A copy of the bench file with one thing changed."""
        path.write_text(changed(self.file.read_text(), old, new))
        self.folders.add(path.parent)
        return path

    def set(self, key: str, value: object) -> None:
        self.control.ask(op="set", key=key, value=value)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a labd process came to its end. lines: of its standard error."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


@dataclass(frozen=True, slots=True)
class Running:
    """A labd process that measures."""

    process: subprocess.Popen[str]
    store: Path

    def until_recording(self) -> Trace:
        """Wait until samples of a capture are in its trace file; returns what is there."""
        return self.until(self._recorded)

    def until_failed(self) -> CaptureRow:
        """Wait until a capture has failed while the run goes on."""
        return self.until(lambda: next((row for row in stored(self.store)[1] if row.state is CaptureState.FAILED), None))

    def until(self, found: Callable[[], T | None]) -> T:
        """Wait until the store shows it; fails when labd ends before."""
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            with contextlib.suppress(LabdError):  # not there yet
                if (answer := found()) is not None:
                    return answer
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=POLL_S)
                raise AssertionError(f"labd ended before: {self.process.communicate()}")
        raise AssertionError(f"not seen within {START_S:g} s")

    def _recorded(self) -> Trace | None:
        captures = stored(self.store)[1]
        trace = next((self.trace(row) for row in captures if row.state is CaptureState.RECORDING), None)
        return trace if trace is not None and samples(trace) else None

    def trace(self, row: CaptureRow) -> Trace:
        with Catalogue.open_read_only(self.store) as catalogue:
            return read_trace(catalogue.trace_path(row))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, within_s: float = EXIT_S) -> Ended:
        """Wait for its end; raises subprocess.TimeoutExpired when it takes longer."""
        begun_s = time.monotonic()
        out, err = self.process.communicate(timeout=within_s)
        return Ended(self.process.returncode, out, err, time.monotonic() - begun_s)


def samples(trace: Trace) -> int:
    return sum(stretch.facts.length for stretch in trace.stretches)


def stored(store: Path) -> tuple[RunRow, list[CaptureRow]]:
    """The newest run of a store and its captures. Raises LabdError when there is none."""
    with Catalogue.open_read_only(store) as catalogue:
        run = catalogue.runs.newest(limit=1)[0] if catalogue.runs.newest(limit=1) else None
        if run is None:
            raise LabdError("no run yet")
        return run, catalogue.captures.of(run.id)


def labd(*arguments: object, timeout_s: float = START_S, env: Mapping[str, str] | None = None) -> Ended:
    """Run one labd command to its end as a process."""
    begun_s = time.monotonic()
    done = subprocess.run(
        [*LABD, *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False, env=env
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - begun_s)


@contextmanager
def measuring(bench: Path, plan: Path, store: Path) -> Iterator[Running]:
    """`labd run` as a process, killed at the end of the `with` should it still be there."""
    process = subprocess.Popen(
        [*LABD, "run", str(bench), str(plan), "--store", str(store), "--quiet"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Running(process, store)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def write_plan(path: Path, *, supply: str = "3.0 V", floor_time: str = "60 s") -> Path:
    """A plan of floor captures only, the first of which is under way within a second."""
    path.write_text(PLAN.format(supply=supply, floor_time=floor_time))
    return path


@contextmanager
def bench_apart(folder: Path, **changes: Any) -> Iterator[Bench]:
    """The demo bench in real time, as a process that does not end with its parent's pipe; changes: sections of its spec, merged in."""
    demo = bench_file.load_bench(resources.path("fixtures") / "benches/demo.toml")
    folders = {folder}
    spec = virtual.spec(demo) | {"time": "real"}
    for key, value in changes.items():
        spec[key] = merged(spec.get(key), value)
    process = subprocess.Popen(
        [sys.executable, "-m", "labd_virtual", "--detach", "--truth", str(folder / "truth.jsonl")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(spec) + "\n")
        process.stdin.close()
        ready = json.loads(process.stdout.readline())
        control = ControlChannel(tuple(ready["control"]))
        try:
            yield Bench(process, control, _as_real(folder / "bench.toml", ready), ready["instruments"]["smu"], folders)
        finally:
            control.close()
    finally:
        for place in folders:
            _end_guard(place / "guard.sock")  # it would go on for ever: the bench that it switches off is gone in a moment
        process.terminate()
        process.wait(timeout=EXIT_S)
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()


def _end_guard(path: Path) -> None:
    """The guard of this bench, should one serve."""
    with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError, ValueError, KeyError):
        link.settimeout(GUARD_S)
        link.connect(str(path))
        link.sendall(b'{"op": "status", "n": 1}\n')
        with link.makefile("rb") as lines:
            os.kill(int(json.loads(lines.readline())["pid"]), signal.SIGKILL)


def merged(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


def demo_text(**replacements: str) -> str:
    """The demo bench's file with its board's path made absolute, and `key = ...` lines replaced by the text given (empty: left out)."""
    fixtures = resources.path("fixtures")
    text = (fixtures / "benches/demo.toml").read_text()
    text = changed(text, 'board = "../boards/virtual-m4.toml"', f'board = "{fixtures / "boards/virtual-m4.toml"}"')
    for key, line in replacements.items():
        old = next(one for one in text.splitlines() if one.startswith(f"{key} ="))
        text = changed(text, old, line)
    return text


def changed(text: str, old: str, new: str) -> str:
    """Replace the first `old`, which must be there."""
    assert old in text
    return text.replace(old, new, 1)


def _as_real(path: Path, ready: Mapping[str, Any]) -> Path:
    text = demo_text(time="", name='name = "apart"')
    text = changed(text, 'virtual = "keysight_n6705c"', f'resource = "{ready["instruments"]["smu"]}"')
    text = changed(text, "virtual = true", f'port = "{ready["uart"]}"')
    text += '\n[guard]\nsocket = "guard.sock"\n'  # of its own: it goes on trying to switch off a bench that is gone
    path.write_text(text)
    return path
