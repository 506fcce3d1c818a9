"""Draws empirical distribution functions of a per-inference value, one panel a mode, one step line a rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labd.records import Mode, OperatingPoint
from labd.report import axes, svg
from labd.report.axes import Frame, Linear
from labd.report.catalogue import MODES, rank, rate_label
from labd.report.data import InferenceSeries, RunReport
from labd.report.numbers import quantity
from labd.report.svg import Markup

RAMP = 6  # shades of the rate ramp in the style sheet, r0 (lowest rate) to r5
_PANEL = 190.0

Curves = dict[Mode, list[tuple[OperatingPoint, InferenceSeries]]]


@dataclass(frozen=True, slots=True)
class Shared:
    """What all panels of a figure have in common: every value and rate on show, the title and unit of the abscissa."""

    values: tuple[float, ...]
    rates: tuple[float, ...]
    title: str
    unit: str


def curves(report: RunReport, beginning: str) -> Curves:
    """The series whose quantity starts with `beginning`, per mode, ascending in rate; of several quantities the first in print order.

    Values that are not finite are left out, and so are series without any other.
    """
    places = {p.key: p for p in report.points}
    wanted = [s for s in report.series if s.quantity.startswith(beginning) and s.point in places and any(map(math.isfinite, s.values))]
    best: dict[Mode, str] = {}
    for item in sorted(wanted, key=lambda s: rank(s.quantity)):
        best.setdefault(places[item.point].mode, item.quantity)
    found: Curves = {mode: [] for mode in Mode if mode in best}
    for item in sorted(wanted, key=lambda s: places[s.point].rate_hz):
        point = places[item.point]
        if item.quantity == best[point.mode]:
            found[point.mode].append((point, item))
    return found


def shade(rate_hz: float, rates: Sequence[float]) -> int:
    """Which shade of the ramp a rate has, spread evenly over the rates on show."""
    ordered = sorted(set(rates))
    return 0 if len(ordered) < 2 else round(ordered.index(rate_hz) * (RAMP - 1) / (len(ordered) - 1))


def draw(shown: Curves, width: int, name: str, title: str) -> Markup:
    """Panels side by side where there is room, else one under the other; all share one abscissa so that modes compare by eye."""
    rows = [pair for row in shown.values() for pair in row]
    values = tuple(v for _, s in rows for v in s.values if math.isfinite(v))
    shared = Shared(values, tuple(p.rate_hz for p, _ in rows), title, rows[0][1].unit if rows else "1")
    columns = len(shown) if width > 500 else 1
    each = (width - 44) / columns
    lines = -(-len(shown) // columns)
    parts = []
    for k, (mode, row) in enumerate(shown.items()):
        left, top = 44 + each * (k % columns), 30 + (_PANEL + 72) * (k // columns)
        frame = Frame(left, top, left + each - 14, top + _PANEL)
        parts.append(panel(row, frame, shared))
        parts.append(svg.text(frame.left, frame.top - 10, MODES[mode], class_="strong"))
    height = 30 + (_PANEL + 72) * lines - 24
    return svg.figure(f"{name}-{width}", *parts, width=width, height=height, title=f"{title}: distribution", desc=describe(shown))


def describe(shown: Curves) -> str:
    parts = []
    for mode, row in shown.items():
        medians = ", ".join(f"{quantity(median(s.values), s.unit, 4)} at {rate_label(p.rate_hz)} (n = {len(s.values)})" for p, s in row)
        parts.append(f"{MODES[mode]}: median {medians}")
    return "; ".join(parts) + "."


def median(values: Sequence[float]) -> float:
    ordered = sorted(v for v in values if math.isfinite(v))
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def panel(row: list[tuple[OperatingPoint, InferenceSeries]], frame: Frame, shared: Shared) -> Markup:
    x = axes.linear(shared.values, frame.left, frame.right)
    y = Linear(0.0, 1.0, frame.bottom, frame.top)
    parts = [axes.x_axis(x, frame, shared.title, shared.unit, 3), share_axis(y, frame)]
    parts += [svg.path(steps(item.values, x, y), class_=f"step r{shade(point.rate_hz, shared.rates)}") for point, item in row]
    return svg.join([*parts, axes.border(frame)])


def share_axis(y: Linear, frame: Frame) -> Markup:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(svg.line(frame.left, y.at(share), frame.right, y.at(share), class_="grid"))
        if frame.left < 50:
            parts.append(svg.text(frame.left - 6, y.at(share) + 4, f"{100 * share:.0f} %", class_="tick", anchor="end"))
    return svg.join(parts)


def steps(values: Sequence[float], x: Linear, y: Linear) -> list[tuple[float, float]]:
    """Corners of the step function; at most 400 steps, evenly chosen, so that a long run stays a small file."""
    ordered = sorted(v for v in values if math.isfinite(v))
    count = len(ordered)
    each = max(1, -(-count // 400))
    points = [(x.at(ordered[0]), y.at(0.0))]
    for k in [*range(each - 1, count - 1, each), count - 1]:
        points += [(x.at(ordered[k]), points[-1][1]), (x.at(ordered[k]), y.at((k + 1) / count))]
    return points
