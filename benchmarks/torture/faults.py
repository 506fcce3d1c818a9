"""A hung instrument, a silent board, a pulled cable, each in mid-run: named, marked, safe while it lasts, and on to the next job."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.torture.found import Found
from benchmarks.torture.mute_line import mute_line
from benchmarks.torture.plans import FLOORS, SWEEP
from benchmarks.torture.served import Served, off_after, powered, served, stays_off
from tests.cli.bad_wire import bad_wire
from tests.cli.bench_apart import Bench, bench_apart

OFF_S = 12.0  # with an instrument that hangs: its read, then a second session; docs/reference/exit-codes.md
SILENT_S = 30.0  # a board is asked again before it counts as silent; what is measured meanwhile stays within its limits
LASTS_S = 1.0  # the fault still, after the job has ended
MARKS = {"failed", "interrupted"}


@dataclass(frozen=True, slots=True)
class Harm:
    """What is done to a run, and undone. named: words of which the error must have one. off_s: the limit for off and discharged."""

    do: Callable[[], None]
    undo: Callable[[], None]
    named: tuple[str, ...]
    off_s: float = OFF_S


def hang(folder: Path, found: Found) -> None:
    """The sessions that are open stop answering; the instrument takes new ones."""
    with bench_apart(folder) as bench, served(bench.file, folder) as daemon:
        harmed(found, bench, daemon, Harm(lambda: bench.hang(on=True), lambda: bench.hang(on=False), ("smu",)))


def pulled_cable(folder: Path, found: Found) -> None:
    """Every connection is reset; new ones can be made."""
    with bench_apart(folder) as bench, bad_wire(bench.resource) as wire:
        file = bench.file_with(folder / "wired.toml", bench.resource, wire.resource)
        with served(file, folder) as daemon:
            harmed(found, bench, daemon, Harm(wire.cut, lambda: None, ("smu",)))


def silent_board(folder: Path, found: Found) -> None:
    with bench_apart(folder) as bench:
        port = next(line for line in bench.file.read_text().splitlines() if line.startswith("port ="))
        with mute_line(port.split('"')[1]) as line:
            file = bench.file_with(folder / "muted.toml", port, f'port = "{line.port}"')
            with served(file, folder) as daemon:
                harmed(found, bench, daemon, Harm(line.mute, line.heal, ("no answer", "does not answer"), SILENT_S), FLOORS)


def harmed(found: Found, bench: Bench, daemon: Served, harm: Harm, plan: str = SWEEP) -> None:
    """One job in mid-capture is harmed; the next one waits, and finds a bench that works again. Raises Unexpected.

    The queue is paused meanwhile, so that nothing but the harmed job's own way out can have switched the board off.
    """
    job, following = daemon.submit(plan, "harmed"), daemon.submit(FLOORS, "following")
    daemon.until_capturing(job)
    daemon.post("queue/pause")
    why = daemon.get("status")["queue"]["why_paused"]
    waits = daemon.job(following)
    daemon.until_capturing(job)
    found.expect(powered(bench), "the board was not on when the harm was done")
    harm.do()
    took_s = off_after(bench, time.monotonic(), limit_s=harm.off_s)
    found.expect(took_s <= harm.off_s, f"off and discharged after {took_s:.2f} s, while the fault lasts")
    row = daemon.until_ended(job)
    found.expect(stays_off(bench, LASTS_S), "the board is on although the job has ended and the fault lasts")
    harm.undo()
    judge(found, daemon, row, harm.named)
    status = daemon.get("status")
    found.expect(status["queue"]["why_paused"] == why and not status["alarms"], f"outputs in doubt: {status['queue']}, {status['alarms']}")
    found.expect(daemon.job(following) == waits, f"the waiting job is another: {daemon.job(following)}")
    daemon.post("queue/resume")
    goes_on(found, daemon, following)
    found.say(f"{row['error']}; off and discharged after {took_s:.2f} s, the next job finished")


def judge(found: Found, daemon: Served, row: dict[str, object], named: tuple[str, ...]) -> None:
    """The job and the capture in the middle of which it was."""
    found.expect(row["state"] == "failed", f"the job ended {row['state']}")
    found.expect(any(word in str(row["error"]) for word in named), f"the error does not name it: {row['error']!r}")
    states = {one["state"] for one in daemon.captures(str(row["run_id"]))}
    found.expect(bool(states & MARKS) and "recording" not in states, f"the capture is not marked: {sorted(states)}")


def goes_on(found: Found, daemon: Served, following: str) -> None:
    after = daemon.until_ended(following)
    found.expect(after["state"] == "finished", f"the next job ended {after['state']}: {after['error']}")
    found.expect(daemon.alive, "the daemon died")
