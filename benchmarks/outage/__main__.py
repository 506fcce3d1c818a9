"""`make outage`: take InfluxDB from a daemon in every way that is promised to cost nothing, print counts and sums of both sides."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from benchmarks.outage.days import CAP_BYTES, QUICK_CAP_BYTES, away_for_days
from benchmarks.outage.kills import kills, kills_victoria
from benchmarks.outage.proxy import proxied
from benchmarks.outage.settings import CASES, wrong
from benchmarks.torture.found import Case, run


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    chosen = arguments.only
    lanes = _lanes(quick=arguments.quick)
    return run("outage", [{name: case for name, case in lane.items() if not chosen or name in chosen} for lane in lanes])


def _lanes(*, quick: bool) -> list[dict[str, Case]]:
    """Two lanes, for two cores: what runs in real time, and what does not."""
    seconds, floors = (12.0, 1) if quick else (60.0, 3)
    return [
        {
            "kills": partial(kills, seconds=seconds, floors=floors),
            "kills-victoria": partial(kills_victoria, seconds=seconds, floors=floors),
        },
        {
            "days": partial(away_for_days, days=3 if quick else 10, cap_bytes=QUICK_CAP_BYTES if quick else CAP_BYTES),
            **{name: partial(wrong, case=case) for name, case in CASES.items()},
            "proxy": partial(proxied, rounds=1 if quick else 5, api="v1"),
            "proxy-v2": partial(proxied, rounds=1 if quick else 5, api="v2"),
        },
    ]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make outage", description=__doc__)
    names = [name for lane in _lanes(quick=True) for name in lane]
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"only this case (again for more): {', '.join(names)}"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
