"""The current signature: a known pattern of busy and quiet chips, found in a record of power and placed by the areas of its edges."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labd.segment.clocks import ClockMap, FloatArray, fitted
from labd.segment.errors import SignatureAmbiguous, SignatureNotFound, SignatureUnclear
from labd.segment.refine import step_mean

# Galois masks of primitive polynomials, by order; docs/reference/dut-protocol.md and firmware/core/labd_signature.c have the same.
MASKS = {5: 0x14, 6: 0x30, 7: 0x60, 8: 0xB8, 9: 0x110, 10: 0x240}
QUIET_CHIPS = 4
SHORTEST_TAUS = 5.0  # of a chip, so that each edge settles before the next
SHORTEST_RECORDS = 10.0

_COARSE = 4  # points a chip in the correlation
_SLIP = 0.5  # chips by which a template may be stretched wrongly from its middle to its end
_LEAST_PEAK = 0.6  # normalised correlation: noise as large as the step gives 0.7, a burst of inferences up to 0.45
_LEAST_RATIO = 1.25  # of the highest peak to the next that is another place
_PASSES = 5
# Of a chip, before the middle of an edge, where its area begins: its place is not well known at first, and a slow path begins to show it
# before its middle; what the edge before has not settled by then displaces both.
_LEADS = (0.4, 0.3, 0.2, 0.15, 0.15)
_LEAD_RECORDS = 1.0  # besides, at least the record that the edge cuts
_OUTLIER_SIGMAS = 4.0
_MOST_OUTLIERS = 0.34


@dataclass(frozen=True, slots=True)
class Signature:
    """2^order - 1 chips of chip_s by the device's counter, which begin with the shift register at `seed`."""

    chip_s: float
    order: int
    seed: int

    def __post_init__(self) -> None:
        if self.order not in MASKS or not 0 < self.seed < 2**self.order:
            raise ValueError(f"a signature of order {self.order} and seed {self.seed}: orders are 5 to 10, seeds 1 to 2^order - 1")
        if not self.chip_s > 0:
            raise ValueError(f"a signature with chips of {self.chip_s} s: a chip is longer than 0")

    @property
    def length(self) -> int:
        return (1 << self.order) - 1

    @property
    def lasts_s(self) -> float:
        """Without the quiet chips before and after."""
        return self.length * self.chip_s

    @property
    def chips(self) -> NDArray[np.int8]:
        """1 busy, 0 quiet; int8 [length]."""
        state, out = self.seed, np.empty(self.length, dtype=np.int8)
        for k in range(self.length):
            out[k] = state & 1
            state = (state >> 1) ^ (MASKS[self.order] if state & 1 else 0)
        return out

    @property
    def edges(self) -> NDArray[np.intp]:
        """Numbers of the chips that differ from the one before; the quiet before and after the pattern counts as a chip."""
        return np.flatnonzero(np.diff(self.chips, prepend=0, append=0))


@dataclass(frozen=True, slots=True)
class Path:
    """What lies between the load and the records. tau_s, u_tau_s: of the supply path inside the boundary, a first-order one, and its
    standard uncertainty: the edges come later by it in the power than at the load. What the instrument delays all that it records by
    cancels in what is cut out of records, and is no part of it."""

    tau_s: float = 0.0
    u_tau_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """A signature in the power. clock: device seconds since the pattern began -> records, as the load has them. base_w, busy_w: its two
    levels. peak: its normalised correlation; ratio: over that of the next best place. u_edge: scatter of one edge, records. late:
    records by which falling edges come later than rising ones. filter_records: of a first-order filter of the instrument that,
    behind the supply path, makes its edges look as they do."""

    clock: ClockMap
    base_w: float
    busy_w: float
    peak: float
    ratio: float
    u_edge: float
    late: float
    filter_records: float


def shortest_chip_s(*, dt_s: float, tau_s: float) -> float:
    """The shortest chip that can be told: five time constants and ten records."""
    return max(SHORTEST_RECORDS * dt_s, SHORTEST_TAUS * tau_s)


def find_signatures(
    power: NDArray[np.float32], signature: Signature, *, count: int, dt_s: float, path: Path, rate_limit: float
) -> tuple[Found, ...]:
    """Find the `count` occurrences of `signature` in `power` (float32 [n], watt a record of dt_s), in order of time.

    rate_limit: how far the device's counter may be off, as a fraction. Raises SignatureNotFound, SignatureAmbiguous, and SignatureUnclear
    where its edges do not lie on one line.
    """
    shortest_s = shortest_chip_s(dt_s=dt_s, tau_s=path.tau_s)
    if signature.chip_s * (1 + rate_limit) < shortest_s:
        raise SignatureUnclear(f"chips of {signature.chip_s:.3g} s cannot be told: at {dt_s:.3g} s a record {shortest_s:.3g} s are needed")
    places, second = _coarse(power, signature, count=count, per_chip=signature.chip_s / dt_s, rate_limit=rate_limit)
    found = len([place for place in places if place.peak >= _LEAST_PEAK])
    if found < count:
        best = max((place.peak for place in places if place.peak < _LEAST_PEAK), default=0.0)
        raise SignatureNotFound(
            f"{found} of {count} signatures are in the record: the next best place correlates by {best:.2f}, {_LEAST_PEAK} is needed"
        )
    ratio = min(place.peak for place in places) / max(second, 1e-9)
    if ratio < _LEAST_RATIO:
        raise SignatureAmbiguous(
            f"the signature may lie in more than {count} places: the next correlates as 1 to {ratio:.2f}, {_LEAST_RATIO} is needed"
        )
    tau = (path.tau_s / dt_s, path.u_tau_s / dt_s)
    return tuple(_fine(power, signature, place, ratio=ratio, tau=tau) for place in sorted(places, key=lambda place: place.start))


@dataclass(frozen=True, slots=True)
class _Place:
    """First record of the pattern, records a chip, normalised correlation there."""

    start: float
    per_chip: float
    peak: float


def _coarse(
    power: NDArray[np.float32], signature: Signature, *, count: int, per_chip: float, rate_limit: float
) -> tuple[list[_Place], float]:
    """The `count` best places, and the correlation at the next best."""
    each = max(1, math.floor(per_chip / _COARSE))
    n = len(power) // each
    series = power[: n * each].reshape(n, each).mean(axis=1, dtype=np.float64)
    surface, rates = np.zeros(n), np.ones(n)  # of the middles of the templates, so that one place lies in one place at any rate
    for rate in _rates(signature.length, rate_limit):
        template = _template(signature, per_chip * rate / each)
        if len(template) > n:
            continue
        seen, half = _normalised(series, template), len(template) // 2
        part = slice(half, half + len(seen))
        rates[part] = np.where(seen > surface[part], rate, rates[part])
        surface[part] = np.maximum(surface[part], seen)
    places: list[_Place] = []
    for _ in range(count):
        k = int(np.argmax(surface)) if n else 0
        if not n or surface[k] <= 0:
            break
        own, points = float(per_chip * rates[k]), len(_template(signature, per_chip * float(rates[k]) / each))
        places.append(_Place((k - points // 2) * each + QUIET_CHIPS * own, own, float(surface[k])))
        near = math.ceil(signature.length * own / each / 2)  # nothing else lies within half a pattern of one
        surface[max(0, k - near) : k + near + 1] = 0.0
    return places, float(surface.max(initial=0.0))


def _rates(length: int, rate_limit: float) -> FloatArray:
    """Records a chip over the nominal, so close that a template slips by no more than _SLIP / 2 to either end."""
    steps = math.ceil(rate_limit * length / (2 * _SLIP)) + 1
    return 1 + np.linspace(-rate_limit, rate_limit, 2 * steps + 1)


def _template(signature: Signature, per_chip: float) -> FloatArray:
    """The pattern with its quiet chips, each point the mean of it over that point."""
    chips = np.concatenate((np.zeros(QUIET_CHIPS), signature.chips, np.zeros(QUIET_CHIPS)))
    area = np.concatenate(([0.0], np.cumsum(chips)))
    points = np.arange(math.floor(len(chips) * per_chip) + 1) / per_chip
    out: FloatArray = np.diff(np.interp(points, np.arange(len(area)), area)) * per_chip
    return out


def _normalised(series: FloatArray, template: FloatArray) -> FloatArray:
    """Correlation coefficient of `template` with each stretch of `series` as long as it, float64 [n - m + 1]."""
    m, n = len(template), len(series)
    shape = template - template.mean()
    shape /= math.sqrt(float(np.sum(shape**2)))
    size = 1 << (n + m - 1).bit_length()
    centred = series - series.mean()
    product = np.fft.irfft(np.fft.rfft(centred, size) * np.conj(np.fft.rfft(shape, size)), size)[: n - m + 1]
    sums, squares = (np.concatenate(([0.0], np.cumsum(part))) for part in (centred, centred**2))
    spread = squares[m:] - squares[:-m] - (sums[m:] - sums[:-m]) ** 2 / m
    least = 1e-12 * max(float(np.mean(centred**2)) * m, 1e-300)
    out: FloatArray = np.where(spread > least, product / np.sqrt(np.maximum(spread, least)), 0.0)
    return out


@dataclass(frozen=True, slots=True)
class _Levels:
    """Quiet and busy level, watt, the standard uncertainty of either, and how many records tell it."""

    base: float
    busy: float
    u: float = 0.0
    records: float = 0.0


def _fine(power: NDArray[np.float32], signature: Signature, place: _Place, *, ratio: float, tau: tuple[float, float]) -> Found:
    """Measure each edge by area from the line found so far, fit the line anew, and again until it stands still.

    Whatever a path of gain 1 makes of a step, it delays the step's area by its group delay, whatever its shape. So the line is that of
    the load plus all delays between it and the records, of which only the supply path's is known and taken off.
    """
    edges = signature.edges
    x = edges.astype(np.float64) * signature.chip_s
    area = np.concatenate(([0.0], np.cumsum(power, dtype=np.float64)))
    rising = signature.chips[np.minimum(edges, signature.length - 1)] * (edges < signature.length) > 0
    line = (place.start, place.per_chip)
    levels, places, kept = _Levels(0.0, 1.0), np.zeros(0), np.zeros(0, dtype=np.bool_)
    for lead in _LEADS:
        levels = _levels(power, signature, line)
        places = _places(area, edges, rising, line=line, levels=levels, lead=_LEAD_RECORDS + lead * line[1])
        kept = _on_line(edges, places)
        slope, offset = np.polyfit(edges[kept], places[kept], 1).tolist()
        line = (offset, slope)
    if kept.mean() < 1 - _MOST_OUTLIERS or not 0.8 < line[1] / place.per_chip < 1.25:
        raise SignatureUnclear(f"{int((~kept).sum())} of {len(kept)} edges of the signature lie off the line of the others")
    late = float(places[kept & ~rising].mean() - places[kept & rising].mean() - line[1] * _apart(edges, rising, kept))
    fit = fitted(x[kept], places[kept] - tau[0])
    rest = places[kept] - tau[0] - fit.at(x[kept])
    u_edge = math.sqrt(float(np.sum(rest**2)) / max(1, len(rest) - 2))
    reach = _reach(edges, line, 0.0)
    # the areas hold the records of the levels too: what is wrong with one is wrong with the other, and so much of it cancels
    told = min(2 * levels.records / float(np.sum(reach)), 0.5)
    u_level = levels.u / (levels.busy - levels.base) * float(np.mean(reach)) / math.sqrt(2) * math.sqrt(1 - 2 * told)
    u_late = math.sqrt(4 * u_level**2 + u_edge**2 * (1 / np.count_nonzero(kept & rising) + 1 / np.count_nonzero(kept & ~rising)))
    unsettled = math.sqrt(max(0.0, late**2 - u_late**2) / 12)
    clock = replace(fit, u_shared=math.hypot(tau[1], u_level, unsettled))
    return Found(
        clock,
        levels.base,
        levels.busy,
        place.peak,
        ratio,
        u_edge,
        late,
        _seen_filter(power, places[kept], rising[kept], levels, (line[1], tau[0])),
    )


def _apart(edges: NDArray[np.intp], rising: NDArray[np.bool_], kept: NDArray[np.bool_]) -> float:
    return float(edges[kept & ~rising].mean() - edges[kept & rising].mean())


def _levels(power: NDArray[np.float32], signature: Signature, line: tuple[float, float]) -> _Levels:
    """From the last part of each chip that follows its like: what was before has settled there."""
    chips = np.concatenate((np.zeros(QUIET_CHIPS, np.int8), signature.chips, np.zeros(QUIET_CHIPS, np.int8)))
    settled = np.flatnonzero(np.diff(chips) == 0) + 1
    found: list[list[float]] = [[], []]
    records = 0
    for k in settled.tolist():
        first, stop = (math.ceil(line[0] + (k - QUIET_CHIPS + part) * line[1]) for part in (0.05, 0.8))
        part = power[max(first, 0) : max(stop, 0)]
        if len(part):
            found[int(chips[k])].append(float(part.mean(dtype=np.float64)))
            records += len(part)
    if not all(found):
        raise SignatureUnclear("the record does not hold the whole signature")
    (base, u_base), (busy, u_busy) = (_mean(np.array(means)) for means in found)
    if not busy > base:
        raise SignatureUnclear(f"the signature's busy chips draw {busy:.3g} W, its quiet ones {base:.3g} W")
    return _Levels(base, busy, math.sqrt((u_base**2 + u_busy**2) / 2), records / 2)


def _mean(values: FloatArray) -> tuple[float, float]:
    """And its standard uncertainty, without those that a glitch has displaced."""
    off = np.abs(values - np.median(values))
    kept = values[off <= _OUTLIER_SIGMAS * 1.4826 * float(np.median(off))]
    return float(kept.mean()), float(kept.std(ddof=min(1, len(kept) - 1))) / math.sqrt(len(kept))


def _places(
    area: FloatArray, edges: NDArray[np.intp], rising: NDArray[np.bool_], *, line: tuple[float, float], levels: _Levels, lead: float
) -> FloatArray:
    """Each edge in records: from just before it to just before the next, the area that is missing to the level after it, over the step."""
    at = line[0] + edges * line[1]
    first = at - lead
    stop = first + _reach(edges, line, lead)
    records = np.arange(len(area), dtype=np.float64)
    had = np.interp(stop, records, area) - np.interp(first, records, area)
    after, before = (np.where(up, levels.busy, levels.base) for up in (rising, ~rising))
    out: FloatArray = first + (after * (stop - first) - had) / (after - before)
    return out


def _seen_filter(
    power: NDArray[np.float32], places: FloatArray, rising: NDArray[np.bool_], levels: _Levels, known: tuple[float, float]
) -> float:
    """Time constant, records, of the instrument's filter that the edges show once they lie on one another; by least absolute errors, which
    glitches do not move, over a grid in steps of a tenth. known: records a chip, and time constant of the supply path."""
    per_chip, tau = known
    k = np.floor(places)[:, None] + np.arange(-math.ceil(0.1 * per_chip), math.ceil(0.7 * per_chip))
    inside = (k >= 0) & (k < len(power))
    seen = power[np.clip(k, 0, len(power) - 1).astype(np.intp)].astype(np.float64)
    share = np.where(rising[:, None], seen - levels.base, levels.busy - seen) / (levels.busy - levels.base)
    t, share = (k - places[:, None])[inside], share[inside]
    longest = max(0.1, per_chip / 4)
    tried = np.append(0.0, np.geomspace(0.05, longest, 1 + math.ceil(math.log(longest / 0.05) / math.log(1.1))))
    errors = [float(np.sum(np.abs(share - step_mean(t + tau + one, tau, one)))) for one in tried.tolist()]
    return float(tried[int(np.argmin(errors))])


def _reach(edges: NDArray[np.intp], line: tuple[float, float], lead: float) -> FloatArray:
    """How many records the area of each edge takes: up to the next edge's, and not more than needed."""
    out: FloatArray = np.minimum(np.append(np.diff(edges), QUIET_CHIPS - 1) * line[1], 3 * line[1] + lead)
    return out


def _on_line(edges: NDArray[np.intp], places: FloatArray) -> NDArray[np.bool_]:
    """Which edges lie on the line of most of them: a glitch of the instrument displaces single ones."""
    kept = np.ones(len(edges), dtype=np.bool_)
    for _ in range(_PASSES):
        slope, offset = np.polyfit(edges[kept], places[kept], 1).tolist()
        rest = places - offset - slope * edges
        spread = 1.4826 * float(np.median(np.abs(rest[kept])))
        kept = np.abs(rest) <= max(_OUTLIER_SIGMAS * spread, 1e-6)
    return kept
