"""`labd serve` as a process on a virtual bench that it takes for real instruments, driven over HTTP."""

from __future__ import annotations

import contextlib
import json
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

from tests.cli.bench_apart import LABD, Bench

T = TypeVar("T")

START_S = 60.0
POLL_S = 0.02
ENDED = ("finished", "failed", "interrupted", "cancelled")


class Unexpected(AssertionError):
    """The daemon did not do what it promises."""


@dataclass(slots=True)
class Served:
    """A daemon that may be killed and started again; bench, store and queue stay."""

    bench: Path
    store: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30.0))

    def start(self) -> None:
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
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        _check(answer)
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = self.http.post(path, json=body or {})
        _check(answer)
        return answer.json() if answer.content else None

    def submit(self, plan: str, name: str = "torture", **options: Any) -> str:
        """The new job's id."""
        return str(self.post("jobs", {"plan_text": plan, "plan_name": name, **options})["id"])

    def job(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"jobs/{job}")
        return found

    def captures(self, run: str) -> list[dict[str, Any]]:
        return list(self.get(f"runs/{run}/captures"))

    def until_capturing(self, job: str) -> dict[str, Any]:
        """The capture of a job that is being recorded, with samples in its file."""

        def capturing() -> dict[str, Any] | None:
            row = self.job(job)
            if row["state"] in ENDED:
                raise Unexpected(f"job {job} ended before: {row['state']} {row['error']}")
            run = row["run_id"]
            return next((one for one in self.captures(run) if one["state"] == "recording"), None) if run else None

        return until(capturing, within_s=START_S, what=f"a capture of job {job}")

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
    finally:
        if daemon.alive:
            daemon.kill()
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


def off_after(bench: Bench, off_v: float, *, within_s: float) -> float:
    """Seconds until the instrument's output is off and the board discharged. Raises Unexpected."""
    begun_s = time.monotonic()
    until(
        lambda: True if not bench.output_on() and bench.board()["voltage_v"] < off_v else None,
        within_s=within_s,
        what="the output off and the board discharged",
    )
    return time.monotonic() - begun_s


def _check(answer: httpx.Response) -> None:
    if answer.is_error:
        raise Unexpected(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
