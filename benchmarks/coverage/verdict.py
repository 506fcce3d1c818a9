"""What the campaign promises, and where it falls short."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.accuracy.unknown import Disturbed
from benchmarks.accuracy.verdict import Tallies, Tally
from benchmarks.coverage.captures import Campaign, Trial

MOST_WIDE = 1.25  # half-width over that of the best estimator, median over the captures
MOST_BIAS = 100e-6  # of the gross energy of an inference
SIGMAS = 3.0  # of its standard error, that a bias must have to be one: a short form has few captures
NAIVE_FAILS_BELOW = 0.9


def joined(parts: Sequence[Campaign]) -> Campaign:
    whole = Campaign()
    for part in parts:
        whole.trials += part.trials
        whole.off += part.off
        whole.naive += part.naive
        whole.captures += part.captures
    return whole


def tallies_of(trials: Sequence[Trial]) -> Tallies:
    tallies = Tallies()
    for one in trials:
        tallies.of(one.figure).add(one.record, one.truth)
    return tallies


def widths_of(trials: Sequence[Trial]) -> dict[str, float]:
    """Figure to the median of half-width over best half-width."""
    seen: dict[str, list[float]] = {}
    for one in trials:
        if one.record is not None and one.record.low is not None and one.record.high is not None:
            seen.setdefault(one.figure, []).append((one.record.high - one.record.low) / 2 / one.best)
    return {figure: statistics.median(ratios) for figure, ratios in seen.items()}


def naive_of(whole: Campaign) -> Tally:
    tally = Tally("edge-gated (naive)")
    for record, truth in whole.naive:
        tally.add(record, truth)
    return tally


def bias_of(whole: Campaign) -> tuple[float, float]:
    """Mean relative error of the gross energy, and its standard error."""
    return statistics.fmean(whole.off), statistics.stdev(whole.off) / math.sqrt(len(whole.off))


def shortcomings(whole: Campaign, unknown: Mapping[str, Disturbed]) -> Iterator[str]:
    yield from tallies_of(whole.trials).failures()
    for figure, ratio in widths_of(whole.trials).items():
        if ratio > MOST_WIDE:
            yield f"{figure}: intervals are {ratio:.2f} times as wide as the best estimator's, at most {MOST_WIDE} is promised"
    bias, u_bias = bias_of(whole)
    if abs(bias) >= max(MOST_BIAS, SIGMAS * u_bias):
        yield f"gross energy is off by {1e6 * bias:.0f} ppm in the mean, less than {1e6 * MOST_BIAS:.0f} ppm is promised"
    naive = naive_of(whole)
    if naive.coverage >= NAIVE_FAILS_BELOW:
        yield f"the edge-gated estimate covers {100 * naive.coverage:.1f} %: this campaign cannot tell good from bad"
    for name, case in unknown.items():
        yield from (f"{name}: {text}" for text in case.shortcomings())
