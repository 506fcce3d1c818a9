"""`labd serve` as a process on a virtual bench that it takes for real instruments, driven over HTTP."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from benchmarks.torture.found import Unexpected
from labd.errors import LabdError
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow
from labd.store.trace import Trace
from labd.store.trace_reader import read_trace
from tests.cli.bench_apart import LABD, Bench

T = TypeVar("T")

START_S = 60.0
STOP_S = 15.0
FED_V = 1.0  # above what a line feeds through a pin, below what any board works at
POLL_S = 0.02
OFF_V = 0.1  # limits.off_voltage of the demo bench
ON_V = 2.9
LOOK_S = 10.0  # beyond its limit an output is looked at for this long, to say by how much it falls short
UNDER_WAY = ("running", "paused")
ENDED = ("finished", "failed", "interrupted", "cancelled")


@dataclass(slots=True)
class Served:
    """A daemon that may be killed and started again; bench, store and queue stay."""

    bench: Path
    store: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    began_ns: int = 0
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30.0))

    def start(self) -> None:
        self.began_ns = time.time_ns()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*LABD, "serve", str(self.bench), "--store", str(self.store), "--port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | dict(self.env),
                start_new_session=True,
            )
        self.http.base_url = httpx.URL(until(self._url, within_s=START_S, what="the daemon's address")).join("/api/v1/")
        until(self._healthy, within_s=START_S, what="a healthy daemon")

    def kill(self) -> None:
        """kill -9, which nothing can catch."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code. Raises Unexpected when it does not end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Unexpected(f"labd serve has not ended {STOP_S:g} s after SIGTERM") from None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(path, params=query)
        _check(answer)
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = self.http.post(path, json=body or {})
        _check(answer)
        return answer.json() if answer.content else None

    def delete(self, path: str) -> None:
        _check(self.http.delete(path))

    def submit(self, plan: str, name: str = "torture", **options: Any) -> str:
        """The new job's id."""
        return str(self.post("jobs", {"plan_text": plan, "plan_name": name, **options})["id"])

    def job(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"jobs/{job}")
        return found

    def captures(self, run: str) -> list[dict[str, Any]]:
        return list(self.get(f"runs/{run}/captures"))

    def rows(self, job: str) -> list[CaptureRow]:
        """Captures of the job's run as the catalogue has them, also while the daemon is dead. Raises LabdError before there is a run."""
        with Catalogue.open_read_only(self.store) as catalogue:
            run = catalogue.jobs.get(job).run_id
            return catalogue.captures.of(run) if run else []

    def trace(self, row: CaptureRow) -> Trace:
        return read_trace(self.store / row.trace)

    def acknowledged(self, job: str) -> dict[str, Trace]:
        """By capture, what is in the files of those that this process records: what a reader of the store sees, it may keep."""
        found: dict[str, Trace] = {}
        with contextlib.suppress(LabdError):  # no run yet, no file yet, or one that just gets its final form
            for row in self.rows(job):
                now = row.state is CaptureState.RECORDING and (row.started_ns or 0) >= self.began_ns
                if now and (trace := self.trace(row)).samples:
                    found[row.key] = trace
        return found

    def require_going_on(self, job: str) -> None:
        """Raises Unexpected for a job that has ended: what is waited for would never come."""
        if (row := self.job(job))["state"] in ENDED:
            raise Unexpected(f"job {job} ended before: {row['state']} {row['error']}")

    def until_capturing(self, job: str) -> dict[str, Trace]:
        """Wait until a capture of the job is being recorded, with samples in its file."""

        def capturing() -> dict[str, Trace] | None:
            if found := self.acknowledged(job):
                return found
            self.require_going_on(job)
            return None

        return until(capturing, within_s=START_S, what=f"a capture of job {job}")

    def until_recovered(self, job: str) -> None:
        """Requests are answered a moment before the queue has found that the job was killed."""

        def recovered() -> bool | None:
            row = self.job(job)
            return row["state"] not in UNDER_WAY or row["started_ns"] >= self.began_ns or None

        until(recovered, within_s=START_S, what=f"the recovery of job {job}")

    def until_ended(self, job: str, *, within_s: float = 120.0) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            row = self.job(job)
            return row if row["state"] in ENDED else None

        return until(ended, within_s=within_s, what=f"the end of job {job}")

    def _url(self) -> str | None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise Unexpected(f"labd serve ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
        with contextlib.suppress(OSError, ValueError):
            place = json.loads((self.store / "daemon.json").read_text())
            if place["pid"] == self.process.pid:
                return str(place["url"])
        return None

    def _healthy(self) -> bool | None:
        try:
            return self.http.get("health").status_code == 200 or None
        except httpx.HTTPError:
            return None


@contextmanager
def served(bench: Path, folder: Path, **env: str) -> Iterator[Served]:
    daemon = Served(bench, folder / "store", folder / "labd.log", env)
    daemon.start()
    try:
        yield daemon
        if daemon.alive:
            daemon.stop()
    finally:
        with contextlib.suppress(Unexpected):
            if daemon.alive:
                daemon.stop()  # in order also then: the guard of a bench that is gone would go on trying to switch it off
        daemon.http.close()


def until(seen: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """What `seen` returns at last. Raises Unexpected when it stays None."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        found = seen()
        if found is not None:
            return found
        time.sleep(POLL_S)
    raise Unexpected(f"{what}: not seen within {within_s:g} s")


def safe(bench: Bench) -> bool:
    """Off by the instrument's own account, and the board discharged."""
    return not bench.output_on() and bool(bench.board()["voltage_v"] < OFF_V)


def powered(bench: Bench) -> bool:
    return bench.output_on() and bool(bench.board()["voltage_v"] > ON_V)


def off_after(bench: Bench, begun_s: float, *, limit_s: float) -> float:
    """Seconds from begun_s (monotonic) until the output is off and the board discharged; infinite when that is LOOK_S over the limit."""
    while not safe(bench):
        if time.monotonic() - begun_s > limit_s + LOOK_S:
            return math.inf
        time.sleep(POLL_S)
    return time.monotonic() - begun_s


def stays_off(bench: Bench, seconds: float) -> bool:
    """Whether the source never feeds the board, each time one looks, and is off and the board discharged at the end.

    A run that finds its outputs off still takes its lines away, which have fed the board some tenths of a volt through its pins, and
    discharges it with the output on at 0 V: that is no feeding.
    """
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if bench.output_on() and bench.board()["voltage_v"] > FED_V:
            return False
        time.sleep(POLL_S)
    return safe(bench)


def _check(answer: httpx.Response) -> None:
    if answer.is_error:
        raise Unexpected(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
