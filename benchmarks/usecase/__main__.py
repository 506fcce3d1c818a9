"""`make usecase`: a use-case file in, a Pareto front over two virtual boards out; killed in the middle and gone on with.

What was done before the kill is neither lost nor measured twice. The best candidate of each board is held against what the physics of the
virtual board says (benchmarks/usecase/truth.py), and against its net's reference in numpy.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.usecase.needs import shortcomings
from benchmarks.usecase.truth import held
from labd import resources
from labd.search import text
from labd.search.folder import Folder, searches
from labd.search.outcome import Outcome, State
from labd.search.result import Result
from labd.search.use_case import UseCase, load_use_case
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState

USE_CASE = "use-cases/digits.toml"
CANDIDATES, QUICK_CANDIDATES = 24, 6  # at least, over all boards
LOOK_S = 0.05
PATIENCE_S = 1800.0


@dataclass(slots=True)
class Findings:
    """short: what falls short, a line each."""

    short: list[str] = field(default_factory=list)

    def need(self, fine: bool, what: str) -> None:  # noqa: FBT001
        if not fine:
            self.short.append(what)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make usecase", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep store and report here")
    arguments = parser.parse_args()
    began, findings = time.monotonic(), Findings()
    least = QUICK_CANDIDATES if arguments.quick else CANDIDATES
    with tempfile.TemporaryDirectory(prefix="labd-usecase-") as folder:
        place = arguments.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        path = written(place, seed=arguments.seed, trials=least // 2)
        before = killed(path, place / "store", after=least // 2)
        gone_on(path, place / "store")
        search = searches(place / "store")[0]
        result = search.result()
        print(text.render(result))
        kept = nothing_twice(place / "store", search, before, findings)
        findings.short += shortcomings(result, candidates=least)
        covered, figures = asyncio.run(agreement(load_use_case(path), search, result, findings))
        if arguments.keep:
            print(search.path / "report.html")
    for line in findings.short:
        print(f"FALLS SHORT: {line}")
    states = Counter(str(one.outcome.state) for one in result.candidates)
    by_values = sum(one.by_values for one in result.candidates)
    print(
        f"usecase: {len(result.candidates)} candidates on {len(result.platforms)} boards ({states['measured']} measured, "
        f"{states['stopped']} stopped early, {states['failed']} failed), killed after {kept} of them and gone on with; "
        f"front of {len(result.front)}, {by_values} by values alone; {covered} of {figures} figures of the best candidates "
        f"within their 95 % interval of the truth; {time.monotonic() - began:.0f} s; {'falls short' if findings.short else 'ok'}"
    )
    return 1 if findings.short else 0


def written(place: Path, *, seed: int, trials: int) -> Path:
    """The shipped use case with its files by absolute paths, and its data set beside it."""
    shipped = resources.path("fixtures") / USE_CASE
    words = shipped.read_text("utf-8").replace('"../../', f'"{shipped.parents[2]}/').replace('"../', f'"{shipped.parents[1]}/')
    words = words.replace("trials = 24", f"trials = {trials}").replace("seed = 1", f"seed = {seed}")
    path = place / "use-case.toml"
    path.write_text(words, encoding="utf-8")
    subprocess.run([sys.executable, resources.path("firmware") / "nets/write_dataset.py", place / "digits"], check=True)
    return path


def command(path: Path, store: Path) -> list[str]:
    return [sys.executable, "-m", "labd", "search", str(path), "--store", str(store)]


def killed(path: Path, store: Path, *, after: int) -> dict[Path, bytes]:
    """Begin the search and kill it once so many candidates are done; the files of those that were."""
    process = subprocess.Popen(command(path, store), stdout=subprocess.DEVNULL)
    deadline_s = time.monotonic() + PATIENCE_S
    try:
        while len(done := finished(store)) < after:
            if process.poll() is not None:
                raise SystemExit(f"usecase: the search ended with {process.returncode} before it could be killed")
            if time.monotonic() > deadline_s:
                raise SystemExit("usecase: the search takes too long")
            time.sleep(LOOK_S)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = finished(store)
    print(f"usecase: killed with {len(done)} candidates done")
    return {path: path.read_bytes() for path in done}


def finished(store: Path) -> list[Path]:
    return sorted(store.glob("searches/*/*/*/outcome.json"))


def gone_on(path: Path, store: Path) -> None:
    if subprocess.run(command(path, store), stdout=subprocess.DEVNULL, timeout=PATIENCE_S, check=False).returncode:
        raise SystemExit("usecase: the search did not go on after it was killed")


def nothing_twice(store: Path, search: Folder, before: dict[Path, bytes], findings: Findings) -> int:
    """How many were done before the kill: each is as it was, and no candidate has two runs that ended well."""
    findings.need(len(searches(store)) == 1, "the search was begun anew")
    changed = [path for path, content in before.items() if path.read_bytes() != content]
    findings.need(not changed, f"{len(changed)} candidates changed after the kill")
    with Catalogue.open_read_only(store) as catalogue:
        ended = Counter(tag for run in catalogue.runs.summaries(limit=1000) if run.state is RunState.FINISHED for tag in run.tags)
    outcomes = [one for one in search.outcomes() if one.state is State.MEASURED]
    for tag, runs in Counter(search.tag(one.platform, one.number) for one in outcomes).items():
        findings.need(ended[tag] == runs, f"{tag} was measured {ended[tag]} times, {runs} were asked for")
    return len(before)


async def agreement(use_case: UseCase, search: Folder, result: Result, findings: Findings) -> tuple[int, int]:
    """How many figures of each board's best candidate are within their interval of the truth, of how many."""
    best: list[Outcome] = [result.of(one.best).outcome for one in result.platforms.values() if one.best]
    if result.again is not None and result.again.outcome.state is State.MEASURED:
        best = [result.again.outcome if one.name == result.best else one for one in best]
    covered = figures = 0
    for outcome in best:
        against, otherwise = await held(use_case, search, outcome)
        findings.short += [f"{outcome.name}: {line}" for line in otherwise]
        for one in against:
            figures, covered = figures + 1, covered + one.covered
            off = "exactly" if one.off is None else f"{one.off:+.2f} u"
            print(f"usecase: {outcome.name} {text.words(one.objective)}: {text.figure(one.record)}, true {one.true:.6g} ({off})")
            findings.need(
                one.fine,
                f"{outcome.name} {one.objective}: {text.figure(one.record)}, true is {one.true:.6g}; half interval {one.width:.1%}",
            )
    return covered, figures


if __name__ == "__main__":
    sys.exit(main())
