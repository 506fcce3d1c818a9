"""Draws one annotated period of a mode: power envelope and mean, shaded phases, marker line, and the active part enlarged."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from labd.records import Phase
from labd.report import axes, svg
from labd.report.axes import Frame, Linear, Scaling
from labd.report.catalogue import MODES, REST
from labd.report.data import Excerpt, PhaseSpan
from labd.report.numbers import quantity
from labd.report.svg import Markup

LOG_FROM = 30.0  # a larger ratio of highest to median power needs a logarithmic axis to show both
ZOOM_BELOW = 0.5  # the active part gets a panel of its own when it fills less than this share of the period
_PANEL, _STRIP, _GAP = 200.0, 18.0, 74.0
_NAMES = 16.0  # headroom for the phases' names


def draw(excerpt: Excerpt, width: int, *, ident: str) -> Markup:
    """The whole period, and under it the active part when it is short; `width` in pixels, `ident` unique in the page."""
    busy = active(excerpt.spans)
    whole = (excerpt.t_s[0], excerpt.t_s[-1]) if excerpt.t_s else (0.0, 1.0)
    zoomed = busy is not None and busy[1] - busy[0] < ZOOM_BELOW * (whole[1] - whole[0])
    first = Frame(58, 46, width - 8, 46 + _PANEL)
    parts = [panel(excerpt, first, whole, "Time")]
    height = first.bottom + 46
    if busy is not None and zoomed:
        room = 0.12 * (busy[1] - busy[0])
        part = (max(whole[0], busy[0] - room), min(whole[1], busy[1] + room))
        second = Frame(first.left, first.bottom + _GAP + _STRIP, first.right, first.bottom + _GAP + _STRIP + _PANEL)
        parts += [lens(excerpt, part, first), panel(excerpt, second, part, "Time, active part enlarged")]
        height = second.bottom + 46
    title = f"One period of {MODES[excerpt.mode]}"
    return svg.figure(f"{ident}-{width}", *parts, width=width, height=height, title=title, desc=describe(excerpt))


def describe(excerpt: Excerpt) -> str:
    """The trace in words, for those who cannot see it."""
    spans = ", ".join(f"{s.phase} {quantity(s.end_s - s.start_s, 's')}" for s in excerpt.spans) or "no phases"
    peak = quantity(max(excerpt.high_w, default=0.0), "W")
    return f"Power against time at {excerpt.point}: {spans}; highest power {peak}. {excerpt.note}"


def active(spans: Sequence[PhaseSpan]) -> tuple[float, float] | None:
    """From the first to the last phase that is not rest; None when there is none."""
    busy = [span for span in spans if span.phase not in REST]
    return (min(s.start_s for s in busy), max(s.end_s for s in busy)) if busy else None


def power_scale(excerpt: Excerpt, frame: Frame) -> Scaling:
    """Linear from 0, or logarithmic where sleep would vanish; the same for both panels."""
    ordered = sorted(excerpt.mean_w)
    positive = [w for w in ordered if w > 0]
    high = max(excerpt.high_w, default=1.0)
    if positive and len(positive) > 0.9 * len(ordered) and high > LOG_FROM * positive[len(positive) // 2]:
        least = positive[len(positive) // 20] * 0.3
        return axes.log([least, high], frame.bottom, frame.top + _NAMES)
    return axes.linear([*excerpt.low_w, *excerpt.high_w], frame.bottom, frame.top + _NAMES, from_zero=True)


def panel(excerpt: Excerpt, frame: Frame, part: tuple[float, float], title: str) -> Markup:
    x = Linear(part[0], part[1], frame.left, frame.right)
    y = power_scale(excerpt, frame)
    about = 8 if frame.right - frame.left > 500 else 4
    return svg.join(
        [
            shading(excerpt.spans, x, frame),
            axes.x_axis(x, frame, title, "s", about),
            axes.y_axis(y, frame, "Power", "W", title_y=frame.top - 32),
            envelope(excerpt, x, y),
            marker_strip(excerpt, x, frame),
            axes.border(frame),
            phase_names(excerpt.spans, x, frame),
        ]
    )


def shading(spans: Sequence[PhaseSpan], x: Linear, frame: Frame) -> Markup:
    return svg.join(
        svg.rect(a, frame.top, b - a, frame.bottom - frame.top, class_=f"phase p-{span.phase}")
        for span in spans
        if (a := max(x.at(span.start_s), frame.left)) < (b := min(x.at(span.end_s), frame.right))
    )


def phase_names(spans: Sequence[PhaseSpan], x: Linear, frame: Frame) -> Markup:
    """Names over the frame where they fit; the legend names the narrow ones."""
    shown = []
    for span in spans:
        a, b = max(x.at(span.start_s), frame.left), min(x.at(span.end_s), frame.right)
        if b - a > svg.text_width(span.phase, 11.0) + 4:
            shown.append(svg.text((a + b) / 2, frame.top + 13, span.phase, class_="small strong", anchor="middle"))
    return svg.join(shown)


def envelope(excerpt: Excerpt, x: Linear, y: Scaling) -> Markup:
    """Band from lowest to highest, and the mean, at most one column a pixel."""
    columns = merge(excerpt, x)
    if not columns:
        return Markup("")
    xs = [x.at(t) for t, *_ in columns]
    low, mean, high = ([y.at(column[k]) for column in columns] for k in (1, 2, 3))
    return svg.join([svg.band(xs, low, high, class_="envelope"), svg.path(list(zip(xs, mean, strict=True)), class_="trace")])


def merge(excerpt: Excerpt, x: Linear) -> list[tuple[float, float, float, float]]:
    """(time, low, mean, high) of the part on show, joined so that there is at most one column a pixel."""
    first, last = bisect_left(excerpt.t_s, x.low), bisect_right(excerpt.t_s, x.high)
    each = max(1, -(-(last - first) // max(int(x.end - x.start), 1)))
    columns = []
    for k in range(first, last, each):
        part = slice(k, min(k + each, last))
        size = part.stop - part.start
        columns.append(
            (
                sum(excerpt.t_s[part]) / size,
                min(excerpt.low_w[part]),
                sum(excerpt.mean_w[part]) / size,
                max(excerpt.high_w[part]),
            )
        )
    return columns


def marker_strip(excerpt: Excerpt, x: Linear, frame: Frame) -> Markup:
    """The marker line's level, drawn in a strip over the frame."""
    if not excerpt.marker:
        return Markup("")
    high, low = frame.top - 24, frame.top - 6
    level = next((v for t, v in reversed(excerpt.marker) if t <= x.low), excerpt.marker[0][1])
    points = [(frame.left, high if level else low)]
    for t, value in excerpt.marker:
        if x.low < t < x.high:
            points += [(x.at(t), points[-1][1]), (x.at(t), high if value else low)]
    points.append((frame.right, points[-1][1]))
    name = svg.text(frame.right, high - 4, "marker line", class_="small", anchor="end")
    return svg.join([svg.path(points, class_="marker"), name])


def lens(excerpt: Excerpt, part: tuple[float, float], frame: Frame) -> Markup:
    """An outline around the part of the first panel that the second one enlarges."""
    x = Linear(excerpt.t_s[0], excerpt.t_s[-1], frame.left, frame.right)
    a, b = x.at(part[0]), x.at(part[1])
    return svg.rect(a, frame.top, b - a, frame.bottom - frame.top, class_="lens")


def durations(excerpt: Excerpt) -> list[tuple[Phase, float]]:
    """Phases in the order they first appear, with their total time in the excerpt."""
    total: dict[Phase, float] = {}
    for span in excerpt.spans:
        total[span.phase] = total.get(span.phase, 0.0) + span.end_s - span.start_s
    return list(total.items())
