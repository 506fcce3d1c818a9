"""What an alignment was off by against what it said, and what of that the issue's figures allow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from benchmarks.accuracy.verdict import binomial_cdf

LEVEL = 0.95
NORMAL = 1.96  # standard deviations of a normal error to either side hold 95 %
MOST_PADDING = 1.25
CHANCE = 0.01  # of a binomial interval to exclude a sound coverage
SIGMAS = 2.58
COVERAGES = 8  # that one command judges: four instruments, on the samples and at the instants


def most_padding(errors: int) -> float:
    """MOST_PADDING, and what a root mean square of so few errors scatters by beyond it once in two hundred times."""
    return MOST_PADDING * (1 + SIGMAS / math.sqrt(2 * max(1, errors)))


@dataclass(slots=True)
class Coverage:
    """Trials of a stated 95 % interval: its half-widths, and what it was off by."""

    errors: list[float] = field(default_factory=list)
    half_widths: list[float] = field(default_factory=list)

    def add(self, *, error: float, half_width: float) -> None:
        self.errors.append(error)
        self.half_widths.append(half_width)

    def join(self, other: Coverage) -> None:
        self.errors += other.errors
        self.half_widths += other.half_widths

    @property
    def total(self) -> int:
        return len(self.errors)

    @property
    def covered(self) -> int:
        return sum(abs(e) <= h for e, h in zip(self.errors, self.half_widths, strict=True))

    @property
    def share(self) -> float:
        return self.covered / self.total if self.total else math.nan

    @property
    def allowed(self) -> tuple[int, int]:
        """Fewest: what a true coverage of 95 % falls short of but once in two hundred times. Most: what none of the COVERAGES of one
        command goes beyond but once in two hundred; intervals that are wide throughout show as padding sooner."""
        fewest = next(k for k in range(self.total + 1) if binomial_cdf(k, self.total, LEVEL) > CHANCE / 2)
        most = next(k for k in range(self.total, -1, -1) if 1 - binomial_cdf(k - 1, self.total, LEVEL) > CHANCE / 2 / COVERAGES)
        return fewest, most

    @property
    def compatible(self) -> bool:
        fewest, most = self.allowed
        return fewest <= self.covered <= most

    @property
    def padding(self) -> float:
        """What is said over what is: 1 where errors are normal and as large as the intervals say, 0.84 where they are rectangular."""
        if not any(self.errors):
            return math.nan
        shares = [error / half_width for error, half_width in zip(self.errors, self.half_widths, strict=True)]
        return 1 / (NORMAL * float(np.sqrt(np.mean(np.square(shares)))))

    @property
    def padded(self) -> bool:
        return not self.padding <= most_padding(self.total)


class Draws:
    """Half-widths of 95 % intervals by draws (GUM Supplement 1), as the analysis states its own."""

    def __init__(self, seed: int, *, draws: int = 40_000) -> None:
        rng = np.random.default_rng(seed)
        self._normal = rng.standard_normal(draws)
        self._uniform = rng.uniform(-1, 1, (2, draws))

    def half_width(self, u: float, *limits: float) -> float:
        """Of a normal error (standard deviation u) plus up to two that are uniform within +-limit."""
        drawn = u * self._normal + sum(limit * one for limit, one in zip(limits, self._uniform, strict=False))
        return float(np.quantile(np.abs(drawn), LEVEL))


@dataclass(slots=True)
class Aligned:
    """Captures by one instrument. worst: of each, the largest error of any edge of an inference, records. on_samples: against where it
    shows in the record; at_instants: against when it was; the coverages are of one edge drawn from each. failed: why labd gave none."""

    name: str
    limit_records: float
    judged_at_instants: bool
    share: float = 0.99  # of the captures, that is promised to lie within
    worst_on_samples: list[float] = field(default_factory=list)
    worst_at_instants: list[float] = field(default_factory=list)
    on_samples: Coverage = field(default_factory=Coverage)
    at_instants: Coverage = field(default_factory=Coverage)
    said: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def join(self, other: Aligned) -> None:
        """More captures by the same instrument."""
        self.worst_on_samples += other.worst_on_samples
        self.worst_at_instants += other.worst_at_instants
        self.on_samples.join(other.on_samples)
        self.at_instants.join(other.at_instants)
        self.said += other.said
        self.failed += other.failed

    @property
    def captures(self) -> int:
        return len(self.worst_on_samples) + len(self.failed)

    @property
    def within(self) -> float:
        """Share of all captures in which every edge lies within the limit."""
        worst = self.worst_at_instants if self.judged_at_instants else self.worst_on_samples
        return sum(w <= self.limit_records for w in worst) / max(1, self.captures)

    def row(self) -> str:
        q = np.quantile(self.worst_on_samples, (0.5, 0.99)) if self.worst_on_samples else (math.nan, math.nan)
        at = np.quantile(self.worst_at_instants, 0.5) if self.worst_at_instants else math.nan
        said = np.median(self.said) if self.said else math.nan
        covered = " ".join(f"{100 * one.share:9.1f}% {one.padding:7.2f}" for one in (self.on_samples, self.at_instants))
        figures = f"{100 * self.within:8.1f}% {q[0]:9.3f} {q[1]:9.3f} {at:9.3f} {said:9.3f} {covered}"
        return f"{self.name:40} {self.captures:5d} {len(self.failed):4d} {figures}"

    @staticmethod
    def head() -> str:
        return (
            f"{'instrument':40} {'n':>5} {'none':>4} {'within':>9} {'median':>9} {'99 %':>9} {'at inst.':>9} {'u':>9} {'covered':>10} "
            f"{'padding':>7} {'at inst.':>10} {'padding':>7}\n{'':52}{'worst edge of a capture, records':>38}"
        )
