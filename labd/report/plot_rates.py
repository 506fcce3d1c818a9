"""Draws mean power against rate, log-log: fits with 95 % bands, points with error bars, break-even rates and the largest rates."""

from __future__ import annotations

from collections.abc import Sequence

from labd.records import Mode
from labd.report import axes, svg
from labd.report.axes import Frame, Log
from labd.report.catalogue import SHAPES, curve_label, variants
from labd.report.data import BreakEven, RateCurve, RateFit, RunReport
from labd.report.numbers import bounds, quantity, show, value_of
from labd.report.rate_line import half_band
from labd.report.svg import Markup

_FLOOR_ROOM = 46.0  # pixels left of the rate axis where rate 0 stands


def draw(report: RunReport, width: int) -> Markup:
    """All curves in one frame; `width` in pixels. Rate 0, which a log axis cannot hold, stands in a strip of its own at the left."""
    curves, numbered = report.curves, variants(report)
    rates = [p.rate_hz for c in curves for p in c.points if p.rate_hz > 0]
    powers = [v for c in curves for p in c.points for v in (value_of(p.power), *bounds(p.power)) if v is not None]
    marks = [b for b in report.break_evens if shown_rates(b, rates)]
    height = 420.0 if width > 500 else 380.0
    frame = Frame(60, 34 + 15 * len(marks), width - 10, height - 46)
    limits = [c.r_max_hz for c in curves if c.r_max_hz]
    x = axes.log([*rates, *limits, *(v for b in marks for v in shown_rates(b, rates))], frame.left + _FLOOR_ROOM, frame.right)
    y = axes.log(powers, frame.bottom, frame.top)
    parts = [
        floor_strip(frame),
        axes.x_axis(x, frame, "Inference rate", "/s", 8 if width > 500 else 4),
        axes.y_axis(y, frame, "Mean power", "W", 6, title_y=14),
        largest_rates(curves, x, frame),
        *(break_even(b, x, frame, row) for row, b in enumerate(marks)),
        *(break_even_label(b, x, frame, row) for row, b in enumerate(marks)),
        *(curve(c, x, y, frame=frame, variant=numbered[c.key]) for c in curves),
        axes.border(frame),
    ]
    return svg.figure(
        f"rates-{width}", *parts, width=width, height=height, title="Mean power against inference rate", desc=describe(report)
    )


def describe(report: RunReport) -> str:
    """The plot in words."""
    fits = [
        f"{curve_label(report, c.key)}: floor {show(c.fit.floor)}, then {show(c.fit.incremental)} per inference"
        for c in report.curves
        if c.fit
    ]
    crossings = [
        f"{curve_label(report, b.first)} and {curve_label(report, b.second)} cross at {show(b.record)}" for b in report.break_evens
    ]
    return "; ".join((*fits, *crossings)) + "."


def shown_rates(item: BreakEven, rates: Sequence[float]) -> list[float]:
    """Ends of a break-even as far as the axis should stretch for it: at most a factor 3 beyond the measured rates."""
    low, high = bounds(item.record)
    rate = value_of(item.record)
    if not rates or rate is None or not min(rates) / 3 <= rate <= max(rates) * 3:
        return []
    return [v for v in (low, rate, high) if v and min(rates) / 3 <= v <= max(rates) * 3]


def floor_strip(frame: Frame) -> Markup:
    """The place of rate 0."""
    edge = frame.left + _FLOOR_ROOM - 8
    return svg.join(
        [
            svg.rect(frame.left, frame.top, edge - frame.left, frame.bottom - frame.top, class_="zone"),
            svg.text((frame.left + edge) / 2, frame.bottom + 16, "0 (floor)", class_="tick", anchor="middle"),
        ]
    )


def curve_class(mode: Mode, variant: int) -> str:
    """Colour by mode; further curves of one mode have filled symbols and broken lines."""
    return f"m-{mode}" + (f" alt{min(variant, 2)}" if variant else "")


def curve(item: RateCurve, x: Log, y: Log, *, frame: Frame, variant: int) -> Markup:
    parts = [fitted(item.fit, x, y, frame=frame)] if item.fit else []
    for point in item.points:
        power = value_of(point.power)
        if power is not None and power > 0:
            at = x.at(point.rate_hz) if point.rate_hz > 0 else frame.left + (_FLOOR_ROOM - 8) / 2
            parts.append(error_bar(at, *bounds(point.power), y=y))
            parts.append(svg.symbol(SHAPES[item.mode], at, y.at(power), class_="dot"))
    return svg.tag("g", *parts, class_=curve_class(item.mode, variant))


def fitted(fit: RateFit, x: Log, y: Log, *, frame: Frame) -> Markup:
    """The line with its band over the whole axis: solid where it was measured, dashed beyond; the floor as a line in its strip."""
    floor, slope = value_of(fit.floor), value_of(fit.incremental)
    if floor is None or slope is None:
        return Markup("")
    rates = [x.low * (x.high / x.low) ** (k / 120) for k in range(121)]
    line = [(r, floor + slope * r) for r in rates if floor + slope * r > y.low]
    widths = [half_band(fit, r) or 0.0 for r, _ in line]
    xs = [x.at(r) for r, _ in line]
    clamp = frame.top
    parts = [
        svg.band(
            xs,
            [max(y.at(p - w), clamp) for (_, p), w in zip(line, widths, strict=True)],
            [max(y.at(p + w), clamp) for (_, p), w in zip(line, widths, strict=True)],
            class_="band",
        )
    ]
    inside = [(x.at(r), y.at(p)) for r, p in line if fit.rate_low_hz <= r <= fit.rate_high_hz or fit.rate_high_hz == 0]
    parts.append(svg.path([(a, y.at(p)) for a, (_, p) in zip(xs, line, strict=True) if y.at(p) >= clamp], class_="fit beyond"))
    parts.append(svg.path(inside, class_="fit"))
    if floor > y.low:
        parts.append(svg.line(frame.left, y.at(floor), frame.left + _FLOOR_ROOM - 8, y.at(floor), class_="fit"))
    return svg.join(parts)


def error_bar(at: float, low: float | None, high: float | None, *, y: Log) -> Markup:
    if low is None or high is None:
        return Markup("")
    top, bottom = y.at(high), y.at(low)
    caps = [svg.line(at - 4, v, at + 4, v, class_="error") for v in (top, bottom)] if bottom - top > 3 else []
    return svg.join([svg.line(at, top, at, bottom, class_="error"), *caps])


def break_even(item: BreakEven, x: Log, frame: Frame, row: int) -> Markup:
    """A vertical line at the rate, up to the row of its label over the frame, and its interval shaded."""
    low, high = bounds(item.record)
    at = x.at(item.record.value or 0.0)
    wire = svg.line(at, label_y(frame, row) + 4, at, frame.bottom, class_="crossing")
    if low is None or high is None:
        return wire
    a, b = x.at(max(low, x.low)), x.at(min(high, x.high))
    return svg.join([svg.rect(a, frame.top, b - a, frame.bottom - frame.top, class_="interval"), wire])


def break_even_label(item: BreakEven, x: Log, frame: Frame, row: int) -> Markup:
    rate = item.record.value or 0.0
    label = f"break-even {quantity(rate, '/s')}" + (" (extrapolated)" if item.extrapolated else "")
    half = svg.text_width(label, 11.0) / 2
    middle = min(max(x.at(rate), frame.left + half), frame.right - half)
    return svg.text(middle, label_y(frame, row), label, class_="small halo", anchor="middle")


def label_y(frame: Frame, row: int) -> float:
    return frame.top - 8 - 15 * row


def largest_rates(curves: Sequence[RateCurve], x: Log, frame: Frame) -> Markup:
    """A dotted line where a mode can serve no more, its figure upright at the line's foot."""
    shown = [(c, c.r_max_hz) for c in curves if c.r_max_hz and x.low <= c.r_max_hz <= x.high]
    places = svg.spread([x.at(rate) + 13 for _, rate in shown], 13.0, frame.left + _FLOOR_ROOM, frame.right - 4)
    parts = []
    for (item, rate), place in zip(shown, places, strict=True):
        label = f"r max {quantity(rate, '/s')}"
        y = frame.bottom - 8 - svg.text_width(label, 11.0) / 2
        wire = svg.line(x.at(rate), frame.top, x.at(rate), frame.bottom, class_="limit")
        parts.append(svg.tag("g", wire, svg.turned_text(place, y, label, class_="small own halo"), class_=f"m-{item.mode}"))
    return svg.join(parts)
