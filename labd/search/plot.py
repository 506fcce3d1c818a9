"""Each further objective over the first one: every candidate with its 95 % intervals, the front, and the targets. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from labd.records import KpiRecord
from labd.report import axes, svg
from labd.report.axes import Frame, Scaling
from labd.report.svg import Markup, tag
from labd.search.figures import UNITS
from labd.search.result import Judged, Result

WIDTH, HEIGHT = 1000.0, 420.0
SHAPES = ("circle", "square", "triangle", "diamond")
_FRAME = Frame(70, 40, WIDTH - 20, HEIGHT - 50)


def plots(result: Result) -> list[Markup]:
    """A figure for each objective but the first; none where nothing was measured, or where there is only one."""
    x = result.objectives[0]
    shown = [one for one in result.candidates if all(one.outcome.value(key) is not None for key in result.objectives)]
    if not shown:
        return []
    return [tag("figure", _plot(result, shown, x, y), tag("figcaption", _caption(result))) for y in result.objectives[1:]]


def _caption(result: Result) -> str:
    platforms = ", ".join(f"{SHAPES[k % len(SHAPES)]}: {name}" for k, name in enumerate(result.platforms))
    return f"{platforms}. Bars are 95 % intervals, dashed lines the targets; filled: on the front by values, pale: dominated."


def _plot(result: Result, shown: Sequence[Judged], x: str, y: str) -> Markup:
    across = _scale([one.outcome.figures[x] for one in shown], _limit(result, x), _FRAME.left, _FRAME.right)
    up = _scale([one.outcome.figures[y] for one in shown], _limit(result, y), _FRAME.bottom, _FRAME.top)
    names = list(result.platforms)
    shapes = [
        axes.border(_FRAME),
        axes.x_axis(across, _FRAME, x.replace("_", " "), UNITS[x]),
        axes.y_axis(up, _FRAME, y.replace("_", " "), UNITS[y]),
    ]
    if (limit := _limit(result, x)) is not None:
        shapes.append(svg.line(across.at(limit), _FRAME.top, across.at(limit), _FRAME.bottom, class_="limit"))
    if (limit := _limit(result, y)) is not None:
        shapes.append(svg.line(_FRAME.left, up.at(limit), _FRAME.right, up.at(limit), class_="limit"))
    for one in sorted(shown, key=lambda one: one.front):
        shapes += _point(one, across, up, x=x, y=y, platform=names.index(one.outcome.platform))
    desc = f"{len(shown)} candidates, {len(result.front)} of them on the front"
    return svg.figure(f"front-{y}", *shapes, width=WIDTH, height=HEIGHT, title=f"{y} over {x}".replace("_", " "), desc=desc)


def _point(one: Judged, across: Scaling, up: Scaling, *, x: str, y: str, platform: int) -> list[Markup]:
    of_x, of_y = one.outcome.figures[x], one.outcome.figures[y]
    at_x, at_y = across.at(of_x.value or 0.0), up.at(of_y.value or 0.0)
    bars = []
    if of_x.low is not None and of_x.high is not None:
        bars.append(svg.line(across.at(of_x.low), at_y, across.at(of_x.high), at_y, class_="bar"))
    if of_y.low is not None and of_y.high is not None:
        bars.append(svg.line(at_x, up.at(of_y.low), at_x, up.at(of_y.high), class_="bar"))
    look = f"pt k{platform % 5}{' on' if one.by_values else '' if one.front else ' faint'}"
    return [*bars, svg.symbol(SHAPES[platform % len(SHAPES)], at_x, at_y, class_=look, radius=5.0)]


def _scale(records: Sequence[KpiRecord], limit: float | None, start: float, end: float) -> Scaling:
    """Logarithmic where the figures span more than a factor of five, and none is 0 or less."""
    values = [v for record in records for v in (record.value, record.low, record.high) if v is not None]
    values += [] if limit is None else [limit]
    if min(values) > 0 and max(values) > 5 * min(values):
        return axes.log(values, start, end)
    return axes.linear(values, start, end)


def _limit(result: Result, key: str) -> float | None:
    return result.targets[key].limit if key in result.targets else None
