"""Draws several quantities of each entry as a polygon: on each spoke the share of the best entry's figure, the rim being the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from labd.report import svg
from labd.report.choice import Chosen, claimed, figure_of
from labd.report.entries import Entry, Figure
from labd.report.plot_pareto import SERIES
from labd.report.svg import Markup

LEAST = 3  # spokes that a polygon needs


@dataclass(frozen=True, slots=True)
class Score:
    """share: of the best, 0 to 1. low, high: of the figure's interval, against the best value as it stands; None without one."""

    share: float
    low: float | None
    high: float | None
    claimed: bool


def scores(entries: Sequence[Entry], what: Chosen) -> list[Score | None]:
    """One an entry, None where it has no figure. The best is that of all entries, whoever tells it: nothing is ranked by a radar."""
    figures = [figure_of(entry, what.kpi) for entry in entries]
    values = [f.value for f in figures if f is not None and f.value is not None and f.value > 0]
    if not values:
        return [None] * len(entries)
    best = max(values) if what.quantity.larger else min(values)
    return [_score(f, best, larger=what.quantity.larger) for f in figures]


def _score(figure: Figure | None, best: float, *, larger: bool) -> Score | None:
    if figure is None or figure.value is None or figure.value <= 0:
        return None

    def share(value: float) -> float:
        return value / best if larger else best / value

    ends = sorted(share(end) for end in figure.interval if end > 0) if figure.interval is not None else []
    low, high = ends if len(ends) == 2 else (None, None)
    return Score(share(figure.value), low, high, claimed([figure]))


def draw(entries: Sequence[Entry], told: Mapping[Chosen, Sequence[Score | None]], width: int, *, ident: str) -> Markup:
    """Rings at a quarter each, on a linear scale. A spoke without a figure of an entry leaves a gap in its polygon."""
    height = 430.0 if width > 500 else 360.0
    x, y, radius = width / 2, height / 2 + 4, height / 2 - 62
    count = len(told)
    turns = [2 * math.pi * k / count - math.pi / 2 for k in range(count)]

    def at(spoke: int, share: float) -> tuple[float, float]:
        return x + radius * share * math.cos(turns[spoke]), y + radius * share * math.sin(turns[spoke])

    parts = [svg.path([at(k, ring) for k in range(count)], class_="ring", closed=True) for ring in (0.25, 0.5, 0.75, 1.0)]
    for k, what in enumerate(told):
        end, label = at(k, 1.0), at(k, 1.12)
        parts.append(svg.line(x, y, *end, class_="grid"))
        anchor = "middle" if abs(label[0] - x) < 8 else "start" if label[0] > x else "end"
        room = (width - label[0] if anchor == "start" else label[0] if anchor == "end" else width) - 4
        lines = svg.wrap(what.title, max(room, 60.0), 11.5)
        top = label[1] - (13 * (len(lines) - 1) if label[1] < y else 0)
        parts += [svg.text(label[0], top + 4 + 13 * n, line, class_="tick", anchor=anchor) for n, line in enumerate(lines)]
    for number in range(len(entries)):
        parts.append(_polygon([row[number] for row in told.values()], number, at))
    desc = "; ".join(f"{entry.name}: {_in_words(told, n)}" for n, entry in enumerate(entries))
    title = "Each figure as a share of the best entry's"
    return svg.figure(f"{ident}-{width}", *parts, width=width, height=height, title=title, desc=desc)


def _in_words(told: Mapping[Chosen, Sequence[Score | None]], number: int) -> str:
    mine = [(what.title, row[number]) for what, row in told.items()]
    return ", ".join(f"{title} {score.share:.2f}" for title, score in mine if score is not None)


def _polygon(mine: Sequence[Score | None], number: int, place: Callable[[int, float], tuple[float, float]]) -> Markup:
    parts = []
    for k, (here, there) in enumerate(zip(mine, [*mine[1:], mine[0]], strict=True)):
        if here is not None and there is not None:
            dashed = " beyond" if here.claimed or there.claimed else ""
            parts.append(svg.line(*place(k, here.share), *place((k + 1) % len(mine), there.share), class_=f"fit{dashed}"))
    for k, score in enumerate(mine):
        if score is None:
            continue
        if score.low is not None and score.high is not None:
            parts.append(svg.line(*place(k, score.low), *place(k, min(score.high, 1.08)), class_="error"))
        parts.append(svg.symbol("circle", *place(k, score.share), class_="dot" if score.claimed else "dot full", radius=3.5))
    return svg.tag("g", *parts, class_=f"s{number % SERIES}")
