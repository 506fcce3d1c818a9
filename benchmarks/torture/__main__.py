"""`make torture`: harm a running daemon in every way that is promised to be safe, print what came of it, fail when one falls short."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from benchmarks.torture.away import away
from benchmarks.torture.disk import full_disk, spent_reserve
from benchmarks.torture.faults import hang, pulled_cable, silent_board
from benchmarks.torture.found import Case, run
from benchmarks.torture.kill import Rounds, kills
from benchmarks.torture.soak import day, soak
from benchmarks.torture.stop import stop_by_command, stop_over_http, stop_while_locked

SEED = 20261123


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    lanes = _worn(arguments) if arguments.soak or arguments.day else _harmed(arguments)
    return run("torture", lanes)


def _harmed(arguments: argparse.Namespace) -> list[dict[str, Case]]:
    """Two lanes, for two cores. What has to be off within 2 s is in one of them, so that no two of those disturb each other."""
    lanes = _lanes(quick=arguments.quick, seed=arguments.seed)
    chosen = arguments.only
    return [{name: case for name, case in lane.items() if not chosen or name in chosen} for lane in lanes]


def _lanes(*, quick: bool, seed: int) -> list[dict[str, Case]]:
    many, one, cut = (2, 1, 1) if quick else (12, 4, 4)
    return [
        {
            "kill": partial(kills, rounds=Rounds("many", many, seed)),
            "kill-one-client": partial(kills, rounds=Rounds("one", one, seed)),
            "kill-network-cut": partial(kills, rounds=Rounds("cut", cut, seed)),
            "stop": stop_over_http,
            "stop-command": stop_by_command,
            "stop-locked": stop_while_locked,
        },
        {
            "hang": hang,
            "silent-board": silent_board,
            "pulled-cable": pulled_cable,
            "full-disk": full_disk,
            "spent-reserve": spent_reserve,
            "broker": partial(away, seconds=5.0 if quick else 60.0),
        },
    ]


def _worn(arguments: argparse.Namespace) -> list[dict[str, Case]]:
    cases: dict[str, Case] = {}
    if arguments.soak:
        cases["soak"] = partial(soak, seconds=arguments.soak * 60.0)
    if arguments.day:
        cases["day"] = partial(day, hours=arguments.day)
    return [cases]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    names = [name for lane in _lanes(quick=True, seed=SEED) for name in lane]
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"only this case (again for more): {', '.join(names)}"
    )
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="only the soak: jobs in real time for so long")
    parser.add_argument("--day", type=float, metavar="HOURS", help="only so many hours of the bench's own time, stepped")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
