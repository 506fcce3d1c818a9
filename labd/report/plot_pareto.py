"""Draws one quantity against another, a point an entry with its interval in both, and the front of those that were measured."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from labd.report import axes, svg
from labd.report.axes import Frame, Scaling
from labd.report.choice import Chosen, shown
from labd.report.entries import Figure
from labd.report.front import Place, Point, places
from labd.report.svg import Markup

SERIES = 6  # colours of the style sheet, s0 to s5; the number beside a point tells more than that apart
SHAPES = ("circle", "square", "triangle", "diamond")


def draw(found: Sequence[Point], x: Chosen, y: Chosen, width: int, *, ident: str) -> Markup:
    """Numbers stand beside the points, as the table below has them."""
    height = 380.0 if width > 500 else 340.0
    frame = Frame(64, 34, width - 14, height - 46)
    across = scale([p.x for p in found], x, frame.left, frame.right)
    up = scale([p.y for p in found], y, frame.bottom, frame.top)
    told = places(found, x, y)
    parts = [
        axes.x_axis(across, frame, x.title, unit(found[0].x), 7 if width > 500 else 4),
        axes.y_axis(up, frame, y.title, unit(found[0].y), 6, title_y=14),
        front([p for p, place in zip(found, told, strict=True) if place is Place.FRONT], across, up),
        *(drawn(p, across, up, frame) for p in found),
        axes.border(frame),
    ]
    desc = "; ".join(f"{p.number} {p.name}: {shown(p.x)}, {shown(p.y)}, {place}" for p, place in zip(found, told, strict=True))
    return svg.figure(f"{ident}-{width}", *parts, width=width, height=height, title=f"{y.title} against {x.title}", desc=desc)


def unit(figure: Figure) -> str:
    return "" if figure.unit == "1" else figure.unit


def scale(figures: Sequence[Figure], what: Chosen, start: float, end: float) -> Scaling:
    values = [v for f in figures for v in (f.value, *(f.interval or ())) if v is not None]
    if what.quantity.log and min(values) > 0:
        return axes.log(values, start, end)
    return axes.linear(values, start, end)


def front(best: Sequence[Point], across: Scaling, up: Scaling) -> Markup:
    """Steps through the points that none beats: what could be had at each abscissa."""
    if len(best) < 2:
        return Markup("")
    at = sorted((across.at(p.x.value or 0.0), up.at(p.y.value or 0.0)) for p in best)
    steps = [at[0]]
    for here, there in itertools.pairwise(at):
        steps += [(there[0], here[1]), there]
    return svg.path(steps, class_="front")


def drawn(point: Point, across: Scaling, up: Scaling, frame: Frame) -> Markup:
    """Filled where both figures were measured, hollow where one is declared or estimated."""
    x, y = across.at(point.x.value or 0.0), up.at(point.y.value or 0.0)
    parts = []
    if point.x.interval is not None:
        a, b = (min(max(across.at(end), frame.left), frame.right) for end in point.x.interval)
        parts.append(svg.line(a, y, b, y, class_="error"))
    if point.y.interval is not None:
        a, b = (min(max(up.at(end), frame.top), frame.bottom) for end in point.y.interval)
        parts.append(svg.line(x, a, x, b, class_="error"))
    number = point.number - 1
    parts.append(svg.symbol(SHAPES[number // SERIES % len(SHAPES)], x, y, class_="dot" if point.claimed else "dot full", radius=5.0))
    left = x > frame.right - 24
    parts.append(svg.text(x - 9 if left else x + 9, y - 7, str(point.number), class_="small halo", anchor="end" if left else "start"))
    return svg.tag("g", *parts, class_=f"s{number % SERIES}")
