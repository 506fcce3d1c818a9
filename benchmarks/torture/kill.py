"""kill -9 of the daemon in mid-capture: the board goes off, nothing acknowledged is lost, the queue stands, the rest is repeated."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.torture.found import Found
from benchmarks.torture.kept import Finished, Queue, Viewer, crowd, lost, viewer
from benchmarks.torture.plans import FLOORS, ONE_MODE, SWEEP
from benchmarks.torture.served import START_S, Served, off_after, powered, served, stays_off, until
from labd.records import CaptureState
from labd.store.trace import Trace
from tests.cli.bench_apart import Bench, bench_apart

OFF_S = 2.0
MOST_LATE_S = 1.5  # into a capture
PAUSED_EVERY = 3  # rounds; in the second of each the queue is paused
NOTHING_BEGINS_S = 1.0  # looked at for so long, then the paused queue goes on
LEFT = 2  # captures that a round leaves to do, so that the job is still under way in the next
MOST = 0.75  # of the kills have to be at a powered board
COMPARED = "many"  # kind of bench on which the figures of the killed run are held against an undisturbed one
AGREE = 2.0  # figures of the resumed and the undisturbed run: within both their U95 in most cases, this many times always
MOST_OUTSIDE = 0.25  # of the figures: those of one capture move together, and a handful of events moves a sixth of them all
# The largest mean among the events of a run is a fact about these events: four undisturbed runs gave 30.06 to 30.29 mW, each with a U95
# of 0.04 mW, which is the instrument's.
LARGEST_SEEN, LARGEST_APART = "power.peak", 0.02
ENDED_S = 300.0


@dataclass(frozen=True, slots=True)
class Rounds:
    """kind of bench: `many` clients, `one` client, `cut` (many, and the network goes too). count: of kills. seed: of their moments."""

    kind: str
    count: int
    seed: int


@dataclass(slots=True)
class Kills:
    """What the rounds came to. off_s: seconds to off and discharged. powered: kills at a powered board. compared: acknowledged samples.

    shown: of these, samples that somebody at the live page had seen.
    """

    off_s: list[float] = field(default_factory=list)
    powered: int = 0
    compared: list[int] = field(default_factory=list)
    shown: int = 0
    lost: int = 0
    finished: Finished = field(default_factory=Finished)

    def line(self, waiting: int) -> str:
        return (
            f"{len(self.off_s)} kills, {self.powered} with the board on, off and discharged in at most {max(self.off_s):.2f} s; "
            f"{sum(self.compared)} acknowledged samples compared, {min(self.compared)} or more each time, {self.shown} seen live, "
            f"{self.lost} lost; {len(self.finished.before)} captures finished before a kill and kept; {waiting} waiting jobs as before"
        )


@dataclass(frozen=True, slots=True)
class Scene:
    bench: Bench
    daemon: Served
    job: str
    cut: bool
    found: Found


def kills(folder: Path, found: Found, *, rounds: Rounds) -> None:
    """One job, killed again and again, then left to its end; on one kind of bench beside one that was left alone. Raises Unexpected."""
    spec: dict[str, Any] = {"instruments": {"smu": {"clients": "one" if rounds.kind == "one" else "many"}}}
    plan = SWEEP if rounds.kind == COMPARED else ONE_MODE
    with bench_apart(folder, **spec) as bench, served(bench.file, folder) as daemon:
        scene = Scene(bench, daemon, daemon.submit(plan, "killed", priority=50), rounds.kind == "cut", found)
        undisturbed = daemon.submit(plan, "undisturbed", priority=40) if rounds.kind == COMPARED else ""
        waiting = crowd(daemon, FLOORS) + bool(undisturbed)
        came = Kills()
        chance = random.Random(f"{rounds.seed} {rounds.kind}")
        for number in range(rounds.count):
            _round(scene, came, number, chance)
        row = daemon.until_ended(scene.job, within_s=ENDED_S)
        found.expect(row["state"] == "finished", f"the job killed {rounds.count} times ended {row['state']}: {row['error']}")
        for key in came.finished.touched(daemon, scene.job):
            found.expect(False, f"capture {key}, finished before a kill, was made again or is another")
        found.expect(bool(came.finished.before) or rounds.count < 2, "no capture was finished before a kill: nothing shows that it is kept")
        found.expect(came.powered >= MOST * rounds.count, f"the board was on at {came.powered} of {rounds.count} kills")
        found.say(came.line(waiting))
        if undisturbed:
            other = daemon.until_ended(undisturbed, within_s=ENDED_S)
            found.expect(other["state"] == "finished", f"the undisturbed job ended {other['state']}: {other['error']}")
            for run in (row["run_id"], other["run_id"]):
                for text in _unfinished(daemon, run):
                    found.expect(False, text)
            _agree(found, daemon, row["run_id"], other["run_id"])


def _round(scene: Scene, came: Kills, number: int, chance: random.Random) -> None:
    bench, daemon, job, found = scene.bench, scene.daemon, scene.job, scene.found
    if number % 2:
        _until_one_more(daemon, job)
    daemon.until_capturing(job)
    time.sleep(chance.uniform(0.0, MOST_LATE_S))  # a random moment is what is asked for
    if pauses := number % PAUSED_EVERY == 1:
        daemon.post("queue/pause")
    eyes = viewer(daemon)
    queue = Queue.of(daemon)
    came.finished.note(daemon, job)
    acknowledged = until(lambda: _in_the_middle(scene), within_s=START_S, what="a capture at a powered board")
    came.powered += powered(bench)
    if scene.cut:
        bench.control.ask(op="network", instrument="smu", cut=True)
    begun_s = time.monotonic()
    daemon.kill()
    came.off_s.append(off_after(bench, begun_s, limit_s=OFF_S))
    found.expect(came.off_s[-1] <= OFF_S, f"off and discharged after {came.off_s[-1]:.2f} s")
    if scene.cut:
        bench.control.ask(op="network", instrument="smu", cut=False)
    eyes.ended()
    _judge_samples(scene, came, acknowledged, eyes)
    daemon.start()
    daemon.until_recovered(job)
    for text in queue.changed(Queue.of(daemon), killed=job):
        found.expect(False, text)
    if pauses:
        found.expect(stays_off(bench, NOTHING_BEGINS_S), "the board was switched on while the queue was paused")
        row = daemon.job(job)
        found.expect(row["state"] == "queued", f"the killed job did not wait for the paused queue: {row['state']} {row['error']}")
        daemon.post("queue/resume")


def _until_one_more(daemon: Served, job: str) -> None:
    """Another capture is finished, if the next kill then still finds some to do."""
    rows = daemon.rows(job)
    done = _done(daemon, job)
    if len(rows) - done > LEFT:

        def one_more() -> bool | None:
            if _done(daemon, job) > done:
                return True
            daemon.require_going_on(job)
            return None

        until(one_more, within_s=ENDED_S, what=f"another finished capture of job {job}")


def _in_the_middle(scene: Scene) -> dict[str, Trace] | None:
    """What is acknowledged while the board is on: between two captures, and on a run's way out, there is nothing to lose."""
    scene.daemon.require_going_on(scene.job)
    return (powered(scene.bench) and scene.daemon.acknowledged(scene.job)) or None


def _done(daemon: Served, job: str) -> int:
    return sum(row.state is CaptureState.FINISHED for row in daemon.rows(job))


def _judge_samples(scene: Scene, came: Kills, acknowledged: dict[str, Trace], eyes: Viewer) -> None:
    """Before the daemon is there again: what was in the files, and what had been shown."""
    now = {
        row.key: scene.daemon.trace(row) for row in scene.daemon.rows(scene.job) if row.trace and row.key in {*acknowledged, eyes.capture}
    }
    came.compared.append(sum(trace.samples for trace in acknowledged.values()))
    missing = sum(lost(trace, now[key]) for key, trace in acknowledged.items())
    unseen = max(0, eyes.samples - now[eyes.capture].samples) if eyes.capture in now else eyes.samples
    came.shown += eyes.samples
    came.lost += missing + unseen
    scene.found.expect(came.compared[-1] > 0, "no acknowledged sample could be compared")
    scene.found.expect(not missing, f"{missing} of {came.compared[-1]} acknowledged samples are gone or have another value")
    scene.found.expect(not unseen, f"{unseen} of {eyes.samples} samples that were shown live are in no file")


def _unfinished(daemon: Served, run: str) -> list[str]:
    """Captures that give no figures, each with the reason that the daemon tells."""
    return [
        f"capture {one['key']} of {run} is {one['state']}: {one['error']}" for one in daemon.captures(run) if one["state"] != "finished"
    ]


def _agree(found: Found, daemon: Served, killed: str, undisturbed: str) -> None:
    """Measured figures of the two runs, same specimen of instrument and board: their difference against their U95."""
    resumed, other = ({(one["id"], one["at"]): one for one in daemon.get(f"runs/{run}/kpis")} for run in (killed, undisturbed))
    pairs = {key: (resumed[key], other[key]) for key in resumed.keys() & other.keys()}
    apart = {key: ratio for key, pair in pairs.items() if (ratio := _apart(key[0], *pair)) is not None}
    for key, ratio in sorted(apart.items()):
        values = f"{resumed[key]['value']:g} resumed, {other[key]['value']:g} undisturbed"
        found.expect(ratio <= AGREE, f"{key[0]} at {key[1]}: {values}, {ratio:.1f} times what may lie between them")
    for which, lacking in (("resumed", other.keys() - resumed.keys()), ("undisturbed", resumed.keys() - other.keys())):
        found.expect(not lacking, f"the {which} run lacks {len(lacking)} figures of the other: {sorted(lacking)[:5]}")
    found.expect(bool(apart), "no figure of the resumed run could be compared")
    outside = sum(ratio > 1 for ratio in apart.values())
    found.expect(outside <= MOST_OUTSIDE * len(apart), f"{outside} of {len(apart)} figures disagree with the undisturbed run's")
    found.say(f"{len(apart)} figures of the resumed run held against an undisturbed one, {outside} outside their U95")


def _apart(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """Difference as a multiple of what may lie between two runs; None where a figure has no interval."""
    if None in (one["value"], other["value"], one["low"], one["high"], other["low"], other["high"]):
        return None
    allowed = math.hypot(one["high"] - one["low"], other["high"] - other["low"]) / 2
    if name.startswith(LARGEST_SEEN):
        allowed = max(allowed, LARGEST_APART * abs(other["value"]))
    return float(abs(one["value"] - other["value"]) / allowed) if allowed else None
