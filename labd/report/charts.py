"""Charts across several runs and cards: radar, Pareto and break-even; as a picture, as tables, as a page without scripts."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from labd.records import Mode, Phase
from labd.report import boards, plot_boards, plot_ecdf, plot_pareto, plot_radar, style, svg
from labd.report.boards import BoardCurve
from labd.report.catalogue import SHAPES
from labd.report.choice import Chosen, chosen, figure_of, shown
from labd.report.entries import Entry
from labd.report.front import places, points, unlike
from labd.report.html import NARROW, WIDE
from labd.report.paper import NONE
from labd.report.sections import table as table_markup
from labd.report.svg import Markup, join, tag
from labd.report.tables import Table

PAIRS = (("energy", "accuracy"), ("latency", "accuracy"), ("energy", "latency"))
SPOKES = ("accuracy", "energy", "latency", "operations", "parameters", "footprint")
HOLLOW = "Hollow points are declared or estimated: they stand beside the others and never rank."
NO_FETCH = "default-src 'none'; style-src 'unsafe-inline'"


class ChartForm(enum.StrEnum):
    RADAR = "radar"
    PARETO = "pareto"
    BREAK_EVEN = "break-even"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture. draw: for a width in pixels. key: names of what it shows, with its symbol."""

    caption: str
    draw: Callable[[int], Markup]
    key: tuple[Markup, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """plots may be empty, where nothing can be drawn: the notes then say why."""

    title: str
    plots: tuple[Plot, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChartText:
    """A chart without its pictures."""

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChartAnswer:
    """picture: SVG or HTML, empty where none was asked for, or nothing can be drawn as SVG."""

    charts: tuple[ChartText, ...]
    picture: str


@dataclass(frozen=True, slots=True)
class Asked:
    """energy: the kind of energy, gross and so on; metric: the task KPI; empty: what most entries have."""

    form: ChartForm
    energy: str = ""
    metric: str = ""


def charts(asked: Asked, entries: Sequence[Entry], curves: Sequence[BoardCurve]) -> list[Chart]:
    """One, or all three."""
    every = asked.form is ChartForm.ALL
    found = []
    if every or asked.form is ChartForm.PARETO:
        found.append(pareto(entries, asked))
    if every or asked.form is ChartForm.BREAK_EVEN:
        found.append(break_even(curves))
    if every or asked.form is ChartForm.RADAR:
        found.append(radar(entries, asked))
    return found


def _quantity(name: str, entries: Sequence[Entry], asked: Asked) -> Chosen:
    return chosen(name, entries, asked.energy if name == "energy" else asked.metric if name == "accuracy" else "")


def pareto(entries: Sequence[Entry], asked: Asked) -> Chart:
    """Accuracy against energy and latency, and energy against latency: each where two entries or more have both."""
    plots, notes = [], [HOLLOW]
    columns: dict[str, list[str]] = {}
    for across, up in PAIRS:
        x, y = (_quantity(name, entries, asked) for name in (across, up))
        found = points(entries, x, y)
        title = f"{y.title} against {x.title[:1].lower()}{x.title[1:]}"
        out = [entry.name for n, entry in enumerate(entries, start=1) if n not in {p.number for p in found}]
        if not found:
            notes.append(f"{title}: nothing has both.")
            continue
        if out:
            notes.append(f"{title}: without {'; '.join(out)}, which {'has' if len(out) == 1 else 'have'} not both figures.")
        ident = f"pareto-{across}-{up}"
        caption = f"{title}; bars: 95 % intervals; line: the front of what was measured"
        plots.append(Plot(caption, partial(plot_pareto.draw, found, x, y, ident=ident), _numbered(entries)))
        ranked = dict(zip((p.number for p in found), places(found, x, y), strict=True))
        apart = dict.fromkeys(why for one, other in combinations(found, 2) if (why := unlike(one, other)))
        notes += [f"{title}: points of this kind are not ranked against each other: {why}." for why in apart]
        columns[f"{y.quantity.name} / {x.quantity.name.lower()}"] = [str(ranked.get(n, NONE)) for n in range(1, len(entries) + 1)]
    shown_by = [_quantity(name, entries, asked) for name in ("accuracy", "energy", "latency")]
    rows = tuple(
        (
            f"{n} {entry.name}",
            *(shown(figure_of(entry, one.kpi)) for one in shown_by),
            *(column[n - 1] for column in columns.values()),
        )
        for n, entry in enumerate(entries, start=1)
    )
    head = ("", *(one.title for one in shown_by), *columns)
    table = Table("Pareto: what none beats in two figures at once", head, rows, frozenset({1, 2, 3}))
    return Chart("Pareto plot", tuple(plots), (table,), tuple(notes))


def radar(entries: Sequence[Entry], asked: Asked) -> Chart:
    """Every quantity that two entries or more have."""
    spokes = [one for name in SPOKES if (one := _quantity(name, entries, asked)).kpi]
    told = {one: plot_radar.scores(entries, one) for one in spokes}
    told = {one: row for one, row in told.items() if sum(score is not None for score in row) >= min(2, len(entries))}
    rows = tuple(
        (f"{n + 1} {entry.name}", *(_scored(shown(figure_of(entry, one.kpi)), row[n]) for one, row in told.items()))
        for n, entry in enumerate(entries)
    )
    table = Table(
        "Radar: each figure, and its share of the best", ("", *(one.title for one in told)), rows, frozenset(range(1, len(told) + 1))
    )
    notes = [
        "A spoke ends at the best of these entries (1); smaller energies, latencies and sizes are better: best / value. Linear scale.",
        "A radar hides how far apart the figures are and what they are worth to a use case; it ranks nothing.",
        HOLLOW,
    ]
    if len(told) < plot_radar.LEAST:
        notes.insert(0, f"no radar is drawn: it needs {plot_radar.LEAST} figures that several entries have, there are {len(told)}")
        return Chart("Radar plot", (), (table,), tuple(notes))
    plot = Plot("Each figure as a share of the best entry's", partial(plot_radar.draw, entries, told, ident="radar"), _numbered(entries))
    return Chart("Radar plot", (plot,), (table,), tuple(notes))


def _scored(text: str, score: plot_radar.Score | None) -> str:
    return text if score is None else f"{text} [{score.share:.2f}]"


def break_even(curves: Sequence[BoardCurve]) -> Chart:
    """Mean power over rate of each mode of each run."""
    found = boards.crossings(curves)
    tables = (boards.table(curves), boards.crossing_table(found))
    said = [*boards.verdicts(curves, found), *boards.notes(curves)]
    if not any(c.curve.points for c in curves):
        return Chart("Break-even across boards", (), tables, ("no run with mean powers over the rate is among what was named",))
    caption = (
        "Mean power over whole periods: a colour a run, a symbol a mode. Lines: fits, dashed thinly beyond the measured rates, with their "
        "95 % bands; rings: where two need the same, with the 95 % interval of the rate."
    )
    key = tuple(_key(f"s{c.run % plot_pareto.SERIES} {plot_boards.DASHES[c.curve.mode]}", SHAPES[c.curve.mode], c.label) for c in curves)
    return Chart(
        "Break-even across boards", (Plot(caption, partial(plot_boards.draw, curves, found, ident="boards"), key),), tables, tuple(said)
    )


def _numbered(entries: Sequence[Entry]) -> tuple[Markup, ...]:
    shapes, series = plot_pareto.SHAPES, plot_pareto.SERIES
    return tuple(_key(f"s{n % series}", shapes[n // series % len(shapes)], f"{n + 1} {entry.name}") for n, entry in enumerate(entries))


def _key(class_: str, shape: str, name: str) -> Markup:
    drawn = tag("g", svg.line(1, 7, 25, 7, class_="fit"), svg.symbol(shape, 13, 7, class_="dot full"), class_=class_)
    return join([tag("svg", drawn, viewBox="0 0 26 14", width="26", height="14", aria_hidden="true", class_="modekey"), name])


def page(made: Sequence[Chart], *, version: str) -> str:
    """A page without scripts that fetches nothing. Every text from outside is escaped."""
    sheet = tag("style", Markup(style.sheet(tuple(Mode), tuple(Phase), plot_ecdf.RAMP)))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=NO_FETCH),
        tag("meta", name="generator", content=f"labd {version}"),
        tag("title", ", ".join(one.title for one in made)),
        sheet,
    )
    parts = [_section(one, k) for k, one in enumerate(made)]
    heading = tag("header", tag("h1", "Comparison of runs and cards"))
    words = "± is the half width of the 95 % coverage interval (U95). Which of these may be compared fairly, `labd compare` says."
    body = tag("body", heading, tag("main", *parts), tag("footer", tag("p", words), tag("p", f"Written by labd {version}.")))
    return "<!DOCTYPE html>\n" + tag("html", head, body, lang="en") + "\n"


def _section(one: Chart, number: int) -> Markup:
    parts = [tag("h2", one.title, id=f"chart{number}")]
    for plot in one.plots:
        wide, narrow = (tag("div", plot.draw(pixels), class_=name) for pixels, name in ((WIDE, "wide"), (NARROW, "narrow")))
        legend = tag("ul", *(tag("li", item) for item in plot.key), class_="legend")
        parts.append(tag("figure", wide, narrow, legend, tag("figcaption", plot.caption)))
    parts += [table_markup(item) for item in one.tables]
    parts.append(tag("ul", *(tag("li", note) for note in one.notes), class_="note"))
    return tag("section", *parts, aria_labelledby=f"chart{number}")


def picture(made: Sequence[Chart]) -> str:
    """All plots as one SVG file, one under the other, each with its key; empty where there is none."""
    parts: list[Markup] = []
    top = 0.0
    for plot in (plot for one in made for plot in one.plots):
        drawn = plot.draw(WIDE)
        height = float(drawn.split('viewBox="', 1)[1].split('"', 1)[0].split()[3])
        body = Markup(drawn.replace("<svg ", f'<svg y="{top:.0f}" width="{WIDE}" height="{height:.0f}" ', 1))
        parts.append(body)
        top += height + 6
        for item in plot.key:
            sign, _, name = item.partition("</svg>")
            placed = sign.replace("<svg ", f'<svg x="60" y="{top:.0f}" ', 1) + "</svg>"
            parts += [Markup(placed), tag("text", Markup(name), x="92", y=f"{top + 11:.0f}")]
            top += 17
        top += 14
    if not parts:
        return ""
    sheet = tag("style", Markup(style.drawing()))
    paper = svg.rect(0, 0, WIDE, top, class_="paper")
    return tag("svg", sheet, paper, *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDE} {top:.0f}", class_="drawing") + "\n"
