"""`make accuracy`: run the campaign, print the coverage of every figure, exit non-zero when one falls short."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time

import numpy as np

from benchmarks.accuracy.campaign import FULL, QUICK, Findings, campaign, say
from benchmarks.accuracy.verdict import Tally

SEED = 20261123
LARGEST_MEDIAN_ERROR = 0.005  # of the gross energy of a guarded burst
NAIVE_FAILS_BELOW = 0.9
REAL_TIME_SHARE = 0.85  # its trials are few and share instruments: a plumbing error would be far below


def main() -> int:
    parser = argparse.ArgumentParser(prog="make accuracy", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    arguments = parser.parse_args()
    began = time.monotonic()
    found = asyncio.run(campaign(QUICK if arguments.quick else FULL, arguments.seed))
    judge_quantiles(found)
    print(found.tallies.table())
    naive = found.naive
    print(
        f"\nedge-gated estimate beside it: {100 * naive.coverage:.1f}% of {naive.total} cover, median error {100 * naive.median_error:.3f}%"
    )
    problems = shortcomings(found)
    for problem in problems:
        print(f"FALLS SHORT: {problem}")
    say(f"{time.monotonic() - began:.0f} s")
    median = statistics.median(map(abs, found.gross_errors))
    print(
        f"accuracy: seed {arguments.seed}, {found.captures} captures in stepped time, {found.real_captures} in real time; coverage: "
        f"{found.tallies.line()}; edge-gated {100 * naive.coverage:.1f}%; median relative error of gross energy {100 * median:.4f}%"
        f"; {'ok' if not problems else f'{len(problems)} fall short'}"
    )
    return 1 if problems else 0


def judge_quantiles(found: Findings) -> None:
    """Order-statistic intervals against the quantiles of all events of the campaign; they may cover more than they say."""
    share = {"latency.pin.p50": 50, "latency.pin.p95": 95}
    true = {name: float(np.percentile(found.latencies, q)) for name, q in share.items()}
    for name, low, high in found.quantiles:
        tally: Tally = found.tallies.of(name, one_sided=True)
        tally.total += 1
        tally.covered += low <= true[name] <= high


def shortcomings(found: Findings) -> list[str]:
    problems = found.tallies.failures()
    median = statistics.median(map(abs, found.gross_errors))
    if median >= LARGEST_MEDIAN_ERROR:
        problems.append(f"median relative error of gross energy is {100 * median:.3f} %, at most 0.5 % is promised")
    if found.naive.coverage >= NAIVE_FAILS_BELOW:
        problems.append(f"the edge-gated estimate covers {100 * found.naive.coverage:.1f} %: the truth check cannot tell good from bad")
    covered, total = found.real
    if covered < REAL_TIME_SHARE * total:
        problems.append(f"in real time {covered} of {total} intervals cover")
    for name, case in found.unknown.items():
        problems += [f"{name}: {text}" for text in case.shortcomings()]
    return problems


if __name__ == "__main__":
    sys.exit(main())
