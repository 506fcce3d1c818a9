"""kill -9 of the daemon in mid-capture: the board goes off, nothing acknowledged is lost, the queue stands, the rest is repeated."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.torture.served import Served, Unexpected, off_after, served
from labd.store.catalogue import Catalogue
from labd.store.trace_reader import read_trace
from tests.cli.bench_apart import Bench, bench_apart, samples

OFF_S = 2.0
LOOK_S = 10.0  # looked for this long, to say by how much it falls short
ON_V = 2.9
OFF_V = 0.1  # limits.off_voltage of the demo bench
MOST_LATE_S = 1.5  # into a capture
COMPARED = "many"  # kind of bench on which the figures of the killed run are held against an undisturbed one
AGREE = 2.0  # figures of the resumed and the undisturbed run: within the sum of their U95 in most cases, this many times always

PLAN = """
schema = 1
name = "short sweep"
modes = ["always_on", "event_sleep"]
rates = ["0 /s", "20 /s"]
supply = ["3.0 V"]
models = ["dnn"]
[captures]
events = 12
floor_time = "2 s"
event_captures = 4
warm_up_inferences = 1
[conditions]
settle = "50 ms"
[detector]
kind = "host-triggered"
"""

WAITING = PLAN.replace("short sweep", "waiting sweep")


@dataclass(slots=True)
class Kills:
    """What the rounds came to. off_s: seconds to off and discharged, one a round. powered: rounds in which the board was on at the kill."""

    off_s: dict[str, list[float]] = field(default_factory=dict)
    powered: int = 0
    lost_samples: int = 0
    problems: list[str] = field(default_factory=list)

    def line(self) -> str:
        worst = ", ".join(f"{name} {len(times)} in at most {max(times):.2f} s" for name, times in self.off_s.items())
        return (
            f"kill -9: {self.powered} times with the board on; off and discharged: {worst}; acknowledged samples lost: {self.lost_samples}"
        )


@dataclass(frozen=True, slots=True)
class Case:
    kind: str
    bench: Bench
    daemon: Served
    chance: random.Random


def kills(folder: Path, rounds: dict[str, int], seed: int) -> Kills:
    """rounds: how often on each kind of bench: `many` clients, `one` client, `cut` (the network is gone as well)."""
    found = Kills()
    chance = random.Random(seed)
    for kind, count in rounds.items():
        here = folder / kind
        here.mkdir()
        spec: dict[str, Any] = {"instruments": {"smu": {"clients": "one" if kind == "one" else "many"}}}
        with bench_apart(here, **spec) as bench, served(bench.file, here) as daemon:
            _rounds(Case(kind, bench, daemon, chance), count, found)
    return found


def _rounds(case: Case, count: int, found: Kills) -> None:
    """One job, killed until it is through, then the next; at the end it runs undisturbed beside which the killed one is held."""
    kind, daemon = case.kind, case.daemon
    waiting = daemon.submit(WAITING)
    daemon.post(f"jobs/{waiting}/move", {"where": "last"})
    job = ""
    for _ in range(count):
        if not job or daemon.job(job)["state"] in ("finished", "failed"):
            job = daemon.submit(PLAN)
            daemon.post(f"jobs/{job}/move", {"where": "first"})
        _one(case, job, found)
    row = daemon.until_ended(job, within_s=300)
    if row["state"] != "finished":
        found.problems.append(f"{kind}: the job killed {count} times ended {row['state']}: {row['error']}")
        return
    if kind != COMPARED:
        return
    undisturbed = daemon.until_ended(daemon.submit(PLAN, priority=1), within_s=300)
    found.problems += _disagreements(kind, daemon, row["run_id"], undisturbed["run_id"])


def _one(case: Case, job: str, found: Kills) -> None:
    kind, bench, daemon, chance = case.kind, case.bench, case.daemon, case.chance
    daemon.until_capturing(job)
    time.sleep(chance.uniform(0.0, MOST_LATE_S))  # a random moment is what is asked for
    jobs = _queue(daemon)
    before = _captures(daemon, job)
    acknowledged = _acknowledged(daemon, job)
    found.powered += bench.output_on() and bench.board()["voltage_v"] > ON_V
    if kind == "cut":
        bench.control.ask(op="network", instrument="smu", cut=True)
    daemon.kill()
    try:
        found.off_s.setdefault(kind, []).append(off_after(bench, OFF_V, within_s=LOOK_S))
    except Unexpected as error:
        found.off_s.setdefault(kind, []).append(math.inf)
        found.problems.append(f"{kind}: {error}")
    if kind == "cut":
        bench.control.ask(op="network", instrument="smu", cut=False)
    found.lost_samples += _lost(daemon.store, acknowledged)
    daemon.start()
    if (after := _queue(daemon)) != jobs:
        found.problems.append(f"{kind}: the queue was {jobs}, is {after}")
    finished = {key: one for key, one in before.items() if one["state"] == "finished"}
    now = _captures(daemon, job)
    found.problems += [
        f"{kind}: finished capture {key} was touched" for key, one in finished.items() if now[key]["started_ns"] != one["started_ns"]
    ]


def _queue(daemon: Served) -> list[tuple[str, int]]:
    """Jobs that have not ended, in their order; which of them runs is told apart."""
    open_ = [row for row in daemon.get("jobs") if row["state"] in ("queued", "running", "paused", "interrupted")]
    return [(row["id"], row["priority"]) for row in open_]


def _captures(daemon: Served, job: str) -> dict[str, dict[str, Any]]:
    return {one["key"]: one for one in daemon.captures(daemon.job(job)["run_id"])}


def _acknowledged(daemon: Served, job: str) -> dict[str, int]:
    """Samples that are in a trace file at this moment, by trace: what a reader of the store sees, it may keep."""
    run = daemon.job(job)["run_id"]
    with Catalogue.open_read_only(daemon.store) as catalogue:
        rows = [row for row in catalogue.captures.of(run) if row.trace and row.state == "recording"]
        return {row.trace: samples(read_trace(catalogue.folder / row.trace)) for row in rows if _begun(catalogue.folder / row.trace)}


def _begun(path: Path) -> bool:
    return path.exists() or path.with_suffix(".arrows").exists()


def _lost(store: Path, acknowledged: dict[str, int]) -> int:
    return sum(max(0, count - samples(read_trace(store / trace))) for trace, count in acknowledged.items())


def _disagreements(kind: str, daemon: Served, killed: str, undisturbed: str) -> list[str]:
    """Measured figures of the two runs, same specimen of instrument and board: their difference against their U95."""
    figures = [{(one["id"], one["at"]): one for one in daemon.get(f"runs/{run}/kpis")} for run in (killed, undisturbed)]
    outside, compared, problems = 0, 0, []
    for key in figures[0].keys() & figures[1].keys():
        one, other = figures[0][key], figures[1][key]
        if None in (one["value"], other["value"], one["u"], other["u"]):
            continue
        compared += 1
        allowed = 1.96 * math.hypot(one["u"], other["u"])
        apart = abs(one["value"] - other["value"])
        outside += apart > allowed
        if apart > AGREE * allowed:
            problems.append(f"{kind}: {key[0]} at {key[1]}: {one['value']:g} resumed, {other['value']:g} undisturbed, U95 {allowed:g}")
    if set(figures[0]) != set(figures[1]):
        problems.append(f"{kind}: the resumed run lacks figures: {sorted(set(figures[1]) ^ set(figures[0]))[:5]}")
    if not compared:
        problems.append(f"{kind}: no figure of the resumed run could be compared")
    elif outside > 0.1 * compared:
        problems.append(f"{kind}: {outside} of {compared} figures of the resumed run disagree with the undisturbed one")
    return problems
