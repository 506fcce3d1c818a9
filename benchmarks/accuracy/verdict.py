"""Coverage against 95 %: exact binomial tests at a family-wise level, and what a table of them says."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

from labd.records import KpiRecord

LEVEL = 0.95
FAMILY = 0.01  # chance that a sound labd fails the whole campaign
FEWEST_SQUARES = 30
SCALE_SIGMAS = 4.0
LEAST_SD = 0.9  # of (error / u) squared where one rectangular term rules


@dataclass(slots=True)
class Tally:
    """One figure over many captures. errors: relative errors. squares: (error / u) squared, 1 in the mean where u is what it says.
    one_sided: may cover more than 95 % (quantiles by order statistics)."""

    name: str
    one_sided: bool = False
    covered: int = 0
    total: int = 0
    withheld: int = 0
    errors: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)

    def add(self, record: KpiRecord | None, truth: float) -> None:
        if record is None or record.value is None or record.low is None or record.high is None:
            self.withheld += 1
            return
        self.total += 1
        self.covered += record.low <= truth <= record.high
        self.errors.append(record.value / truth - 1)
        if record.u:
            self.squares.append(((record.value - truth) / record.u) ** 2)
        self.widths.append((record.high - record.low) / 2 / abs(truth))

    @property
    def coverage(self) -> float:
        return self.covered / self.total if self.total else math.nan

    @property
    def median_error(self) -> float:
        ordered = sorted(map(abs, self.errors))
        return ordered[len(ordered) // 2] if ordered else math.nan

    @property
    def bias(self) -> float:
        """Mean error as a share of the median half-width: where the estimate is off, not scattered."""
        return sum(self.errors) / len(self.errors) / self.median_width if self.errors else math.nan

    @property
    def median_width(self) -> float:
        ordered = sorted(self.widths)
        return ordered[len(ordered) // 2] if ordered else math.nan

    @property
    def mean_square(self) -> float:
        return sum(self.squares) / len(self.squares) if self.squares else math.nan

    def wrong_scale(self) -> str:
        """Empty where the mean of (error / u) squared is compatible with 1; a padded u shows here long before coverage reaches 100 %."""
        n = len(self.squares)
        if n < FEWEST_SQUARES:
            return ""
        mean = self.mean_square
        sd = math.sqrt(sum((z - mean) ** 2 for z in self.squares) / (n - 1) / n)
        if abs(mean - 1) <= SCALE_SIGMAS * max(sd, LEAST_SD / math.sqrt(n)):
            return ""
        return f"(error / u) squared is {mean:.2f} in the mean of {n}, +-{sd:.2f}: u is {'too large' if mean < 1 else 'too small'}"

    def p_value(self) -> float:
        """Two-sided: too few as well as too many covered (padded intervals); one-sided: too few only."""
        if not self.total:
            return 0.0
        low = binomial_cdf(self.covered, self.total, LEVEL)
        high = 1 - binomial_cdf(self.covered - 1, self.total, LEVEL)
        return low if self.one_sided else min(1.0, 2 * min(low, high))


class Tallies:
    """All figures of a campaign by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Tally] = {}

    def of(self, name: str, *, one_sided: bool = False) -> Tally:
        return self._by_name.setdefault(name, Tally(name, one_sided))

    def all(self) -> list[Tally]:
        return sorted(self._by_name.values(), key=lambda t: t.name)

    def failures(self) -> list[str]:
        """One line a figure whose coverage is not compatible with 95 % at the family-wise level."""
        threshold = FAMILY / max(1, len(self._by_name))
        found = []
        for tally in self.all():
            if tally.withheld > 0.05 * (tally.total + tally.withheld):
                found.append(f"{tally.name}: withheld in {tally.withheld} of {tally.total + tally.withheld} captures")
            elif tally.wrong_scale() and not tally.one_sided:
                found.append(f"{tally.name}: {tally.wrong_scale()}")
            elif tally.p_value() < threshold:
                what = "too few" if tally.coverage < LEVEL else "too many: padded"
                found.append(f"{tally.name}: {tally.covered} of {tally.total} intervals cover, {what} (p = {tally.p_value():.1e})")
        return found

    def table(self) -> str:
        head = f"{'figure':44} {'n':>5} {'covered':>8} {'p':>8} {'median |error|':>15} {'median U95':>11} {'bias/U95':>9} {'(e/u)^2':>8}"
        return "\n".join([head, *(_row(tally) for tally in self.all())])

    def line(self) -> str:
        return ", ".join(f"{t.name} {100 * t.coverage:.1f}%" for t in self.all())


def _row(t: Tally) -> str:
    spread = f"{100 * t.median_error:14.4f}% {100 * t.median_width:10.4f}% {t.bias:9.2f} {t.mean_square:8.2f}" if t.errors else ""
    withheld = f"  withheld {t.withheld}" if t.withheld else ""
    return f"{t.name:44} {t.total:5d} {100 * t.coverage:7.1f}% {t.p_value():8.3f} {spread}{withheld}"


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ B(n, p), exactly."""
    return min(1.0, sum(math.exp(_log_binomial(i, n, p)) for i in range(k + 1))) if k >= 0 else 0.0


def _log_binomial(i: int, n: int, p: float) -> float:
    return math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)


def records_by_id(records: tuple[KpiRecord, ...]) -> dict[str, KpiRecord]:
    return {record.id: record for record in records}


RESERVES = ("settled", "time constant", "back_feed", "drift", "not linear", "over range", "activity", "missing", "unknown", "gap")


def unsure(record: KpiRecord | None) -> bool:
    """Withheld, without an interval, or flagged with a reserve about its value: labd did not claim this figure."""
    if record is None or record.value is None or record.low is None:
        return True
    return any(word in flag for flag in record.flags for word in RESERVES)


def grouped(pairs: list[tuple[str, bool]]) -> dict[str, list[bool]]:
    out: dict[str, list[bool]] = defaultdict(list)
    for name, hit in pairs:
        out[name].append(hit)
    return out
