"""`make torture`: harm a running daemon in every way that is promised to be safe, print what came of it, fail when one falls short."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.torture.away import away
from benchmarks.torture.faults import faults
from benchmarks.torture.kill import OFF_S, kills
from benchmarks.torture.served import Unexpected
from benchmarks.torture.soak import day, soak

ROUNDS = {"many": 12, "one": 4, "cut": 4}
QUICK_ROUNDS = {"many": 2, "one": 1, "cut": 1}
SEED = 20261123


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="only the soak: jobs in real time for so long")
    parser.add_argument("--day", type=float, metavar="HOURS", help="only so many hours of the bench's own time, stepped")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="labd-torture-") as place:
        said, short = _worn(Path(place), arguments) if arguments.soak or arguments.day else _harmed(Path(place), arguments)
    for line in said:
        print(line)
    for line in short:
        print(f"FALLS SHORT: {line}")
    verdict = "ok" if not short else f"{len(short)} fall short"
    print(f"torture: {time.monotonic() - began:.0f} s; {'; '.join(said)}; {verdict}")
    return 1 if short else 0


def _harmed(folder: Path, arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    said: list[str] = []
    short: list[str] = []
    found = kills(_made(folder / "kill"), QUICK_ROUNDS if arguments.quick else ROUNDS, arguments.seed)
    said.append(found.line())
    short += found.problems
    short += [f"off after {s:.2f} s ({kind})" for kind, times in found.off_s.items() for s in times if s > OFF_S]
    if found.lost_samples:
        short.append(f"{found.lost_samples} acknowledged samples were lost")
    _say(began="faults")
    told, failed = faults(_made(folder / "faults"))
    said += told
    short += failed
    _say(began="broker")
    _tried(said, short, lambda: away(_made(folder / "broker"), 5.0 if arguments.quick else 60.0))
    return said, short


def _worn(folder: Path, arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    said: list[str] = []
    short: list[str] = []
    if arguments.soak:
        _tried(said, short, lambda: soak(_made(folder / "soak"), arguments.soak * 60.0))
    if arguments.day:
        _tried(said, short, lambda: day(_made(folder / "day"), arguments.day))
    return said, short


def _tried(said: list[str], short: list[str], case: Callable[[], str]) -> None:
    try:
        said.append(case())
    except Unexpected as error:
        short.append(str(error))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _say(*, began: str) -> None:
    print(f"torture: {began} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
