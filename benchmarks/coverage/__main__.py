"""`make coverage`: are intervals as wide as they must be and no wider, and is no second of an aimed run wasted?"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

from benchmarks.accuracy.unknown import CASES, Disturbed, on_case
from benchmarks.coverage import aimed, verdict
from benchmarks.coverage.captures import Campaign, Counts, on_bench

Made = TypeVar("Made")
SEED = 20261128
BENCHES, COUNTS, EACH_UNKNOWN, AIMED = 12, Counts(means=48, floors=25, events=20, sweeps=8), 36, 2
QUICK_BENCHES, QUICK_COUNTS, QUICK_UNKNOWN, QUICK_AIMED = 4, Counts(means=18, floors=9, events=8, sweeps=3), 12, 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="make coverage", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    arguments = parser.parse_args()
    began, seed, quick = time.monotonic(), arguments.seed, arguments.quick
    benches, counts = (QUICK_BENCHES, QUICK_COUNTS) if quick else (BENCHES, COUNTS)
    each, runs = (QUICK_UNKNOWN, QUICK_AIMED) if quick else (EACH_UNKNOWN, AIMED)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        aims = [_started(pool, f"aimed run {k}", partial(aimed.ran_apart, seed + 100 * k)) for k in range(runs)]
        parts = [_started(pool, f"bench {k}", partial(on_bench, k, benches, seed, counts)) for k in range(benches)]
        cases = {one.name: _started(pool, one.name, partial(on_case, k, each, seed)) for k, one in enumerate(CASES)}
        found = [one.result() for one in aims]
        whole = verdict.joined([one.result() for one in parts])
        unknown = {name: one.result() for name, one in cases.items()}
    return _told(found, whole, unknown, seed=seed, began_s=began)


def _started(pool: ProcessPoolExecutor, name: str, work: Callable[[], Made]) -> Future[Made]:
    future = pool.submit(work)
    future.add_done_callback(lambda _done: print(f"[{time.strftime('%H:%M:%S')}] {name}", flush=True))
    return future


def _told(found: Sequence[aimed.Verdict], whole: Campaign, unknown: dict[str, Disturbed], *, seed: int, began_s: float) -> int:
    tallies, widths = verdict.tallies_of(whole.trials), verdict.widths_of(whole.trials)
    naive, (bias, u_bias) = verdict.naive_of(whole), verdict.bias_of(whole)
    print(tallies.table())
    print("\nhalf-width over the best estimator's: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in sorted(widths.items())))
    print(
        f"edge-gated estimate beside it: {100 * naive.coverage:.1f}% of {naive.total} cover, median error {100 * naive.median_error:.3f}%"
    )
    for name, case in unknown.items():
        print(f"{name}: {case}")
    for one in found:
        print(f"aimed: {one.spent_s:.0f} s, the least is {one.least_s:.0f} s; impossible: {one.why_impossible}")
    short = [*verdict.shortcomings(whole, unknown), *aimed.shortcomings(found)]
    for line in short:
        print(f"FALLS SHORT: {line}")
    held = sum(one.covered for one in found)
    print(
        f"coverage: seed {seed}, {whole.captures} captures on benches at random, {sum(c.captures for c in unknown.values())} of "
        f"{len(unknown)} mismatches; coverage: {tallies.line()}; widest {max(widths.values()):.2f} of the best; gross energy off by "
        f"{1e6 * bias:.0f} ± {1e6 * u_bias:.0f} ppm; edge-gated {100 * naive.coverage:.1f}%; aimed: bench time over the least "
        f"{', '.join(f'{one.ratio:.2f}' for one in found)}, {held} of {len(found)} hold the truth; {time.monotonic() - began_s:.0f} s; "
        f"{'ok' if not short else f'{len(short)} fall short'}"
    )
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
