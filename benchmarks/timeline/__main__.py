"""`make timeline`: alignment by signatures and by edges against the virtual physics; exits non-zero when a figure falls short."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks.timeline.campaign import measured
from benchmarks.timeline.verdict import MOST_PADDING, Aligned

SEED = 20261127
CAPTURES, QUICK_CAPTURES = 500, 60
EVENTS, QUICK_EVENTS = 60, 12
QUICK_LESS = 0.04  # of the share that is promised: of 60 captures one is 1.7 %


def shortcomings(found: Aligned, *, share: float) -> list[str]:
    """share: that is promised; a capture that labd refuses to place, and says why, is not within."""
    problems = []
    if found.within < share:
        problems.append(
            f"{found.name}: in {100 * found.within:.1f} % of the captures each edge lies within {found.limit_records:g} records, "
            f"{100 * share:g} % are promised"
        )
    for what, coverage in (("on the samples", found.on_samples), ("at the instants", found.at_instants)):
        if not coverage.compatible:
            fewest, most = coverage.allowed
            problems.append(f"{found.name}: {coverage.covered} of {coverage.total} 95 % intervals cover {what}, {fewest} to {most} may")
        if coverage.padded:
            problems.append(f"{found.name}: what is said {what} is {coverage.padding:.2f} times what is, {MOST_PADDING:g} is allowed")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(prog="make timeline", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    arguments = parser.parse_args()
    began = time.monotonic()
    sizes = (QUICK_CAPTURES, QUICK_EVENTS) if arguments.quick else (CAPTURES, EVENTS)
    aligned, bursts = measured(*sizes, arguments.seed)
    print(Aligned.head())
    for one in aligned.all():
        print(one.row())
    print(", ".join(f"{method}: {count}" for method, count in sorted(aligned.methods.items())))
    print(bursts.line())
    for one in aligned.all():
        for text in one.failed:
            print(f"not placed: {one.name}: {text}")
    problems = bursts.shortcomings()
    less = QUICK_LESS if arguments.quick else 0.0
    problems += [text for one in aligned.all() for text in shortcomings(one, share=one.share - less)]
    for problem in problems:
        print(f"FALLS SHORT: {problem}")
    print(f"{time.monotonic() - began:.0f} s")
    shares = ", ".join(f"{one.name} {100 * one.within:.1f} % within {one.limit_records:g} records" for one in aligned.all())
    covered = ", ".join(f"{100 * one.on_samples.share:.1f} % and {100 * one.at_instants.share:.1f} %" for one in aligned.all())
    print(
        f"timeline: seed {arguments.seed}, {sizes[0]} captures; {shares}; U95 covers on the samples and at the instants {covered}; "
        f"{bursts.line()}; {'ok' if not problems else f'{len(problems)} fall short'}"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
