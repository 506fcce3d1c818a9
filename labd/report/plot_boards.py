"""Draws mean power against rate of several runs, log-log: a colour a run, a symbol a mode, bands, and the points where two curves cross."""

from __future__ import annotations

from collections.abc import Sequence

from labd.records import Mode
from labd.report import axes, svg
from labd.report.axes import Frame, Log
from labd.report.boards import BoardCurve, Crossing, rate_text, span
from labd.report.catalogue import SHAPES
from labd.report.numbers import bounds, show, value_of
from labd.report.plot_pareto import SERIES
from labd.report.plot_rates import error_bar, fitted, floor_strip
from labd.report.svg import Markup

FLOOR_ROOM = 46.0  # pixels left of the rate axis where rate 0 stands, as `floor_strip` draws it
DASHES = {mode: f"d{k}" for k, mode in enumerate(Mode)}  # d0 is a whole line


def draw(curves: Sequence[BoardCurve], found: Sequence[Crossing], width: int, *, ident: str) -> Markup:
    """Crossings inside the frame are ringed, with the interval of their rate as a bar."""
    rates = [p.rate_hz for c in curves for p in c.curve.points if p.rate_hz > 0]
    powers = [v for c in curves for p in c.curve.points for v in (value_of(p.power), *bounds(p.power)) if v is not None]
    low, high = span(curves) or (1.0, 10.0)
    marks = [c for c in found if c.value is not None and c.power_w is not None and low / 3 <= c.value <= high * 3]
    height = 440.0 if width > 500 else 380.0
    frame = Frame(60, 34, width - 10, height - 46)
    x = axes.log([*rates, *(c.value for c in marks if c.value is not None)], frame.left + FLOOR_ROOM, frame.right)
    y = axes.log([*powers, *(c.power_w for c in marks if c.power_w is not None)], frame.bottom, frame.top)
    parts = [
        floor_strip(frame),
        axes.x_axis(x, frame, "Inference rate", "/s", 8 if width > 500 else 4),
        axes.y_axis(y, frame, "Mean power", "W", 6, title_y=14),
        *(_curve(c, x, y, frame) for c in curves),
        *(_ring(c, x, y) for c in marks),
        axes.border(frame),
    ]
    title = "Mean power against inference rate, several runs"
    return svg.figure(f"{ident}-{width}", *parts, width=width, height=height, title=title, desc=describe(curves, found))


def describe(curves: Sequence[BoardCurve], found: Sequence[Crossing]) -> str:
    """The plot in words."""
    lines = [
        f"{c.label}: floor {show(c.curve.fit.floor)}, then {show(c.curve.fit.incremental)} per inference" for c in curves if c.curve.fit
    ]
    return "; ".join([*lines, *(f"{c.first} and {c.second} cross at {rate_text(c)}" for c in found if c.value is not None)]) + "."


def _curve(item: BoardCurve, x: Log, y: Log, frame: Frame) -> Markup:
    parts = [fitted(item.curve.fit, x, y, frame=frame)] if item.curve.fit else []
    for point in item.curve.points:
        power = value_of(point.power)
        if power is not None and power > 0:
            at = x.at(point.rate_hz) if point.rate_hz > 0 else frame.left + (FLOOR_ROOM - 8) / 2
            parts.append(error_bar(at, *bounds(point.power), y=y))
            parts.append(svg.symbol(SHAPES[item.curve.mode], at, y.at(power), class_="dot full"))
    return svg.tag("g", *parts, class_=f"s{item.run % SERIES} {DASHES[item.curve.mode]}")


def _ring(item: Crossing, x: Log, y: Log) -> Markup:
    assert item.value is not None
    assert item.power_w is not None
    at, up = x.at(item.value), y.at(item.power_w)
    parts = [svg.symbol("circle", at, up, class_="cross", radius=6.0)]
    if item.low is not None and item.high is not None and item.low > 0:
        ends = [min(max(x.at(end), x.start), x.end) for end in (item.low, item.high)]
        parts.append(svg.line(ends[0], up, ends[1], up, class_="crossing"))
    return svg.join(parts)
