"""The HTML report: one self-contained page without scripts, for screen, phone and paper, in light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from labd.records import Mode, Phase
from labd.report import (
    plot_budget,
    plot_ecdf,
    plot_phases,
    plot_rates,
    plot_trace,
    plot_wiring,
    sections,
    style,
    svg,
    table_one,
    tables,
    verdict,
)
from labd.report.beside import NOTES as BESIDE_NOTES
from labd.report.beside import beside_table
from labd.report.catalogue import MODE_MEANING, MODES, PHASES, SHAPES, curve_label, main_kpis, rate_label, variants
from labd.report.data import Excerpt, RunReport
from labd.report.numbers import quantity, show, value_of
from labd.report.svg import Markup, join, tag
from labd.report.sweeps import TOPICS, Topic, tables_of

WIDE, NARROW = 1000, 358  # drawn twice: for the page's full width, and for a 390 px phone, so that text keeps its size
_NO_FETCH = "default-src 'none'; style-src 'unsafe-inline'"


def render(report: RunReport) -> str:
    """The whole page. Pure; every text from outside is escaped; nothing is fetched (a content security policy says so)."""
    shown = [section for section in page(report) if section.body]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_NO_FETCH),
        tag("meta", name="generator", content=f"labd {report.run.labd_version}"),
        tag("title", f"{report.run.name}: {report.board.name}, energy per inference"),
        tag("style", Markup(style.sheet(tuple(Mode), tuple(Phase), plot_ecdf.RAMP))),
    )
    body = tag("body", header(report, shown), tag("main", *(s.markup() for s in shown)), footer(report))
    return "<!DOCTYPE html>\n" + tag("html", head, body, lang="en") + "\n"


def header(report: RunReport, shown: Iterable[sections.Section]) -> Markup:
    run = report.run
    links = [tag("li", tag("a", s.title, href=f"#{s.ident}")) for s in shown]
    return tag(
        "header",
        tag("h1", f"{run.name}: energy per inference of {report.board.name}"),
        tag("p", f"Run {run.run_id}, {run.started} to {run.ended}, {run.state}. labd {run.labd_version}.", class_="sub"),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        *sections.alerts(report),
    )


def footer(report: RunReport) -> Markup:
    words = "± is the half width of the 95 % coverage interval (U95). Lopsided intervals are written low..high."
    return tag(
        "footer", tag("p", words), tag("p", f"Written by labd {report.run.labd_version}. This page fetches nothing and runs no script.")
    )


def page(report: RunReport) -> list[sections.Section]:
    """The sections in reading order; an empty body leaves a section out."""
    make = sections.Section
    return [
        make("result", "Result", answer(report)),
        make("summary", "Summary", sections.summary(report)),
        make("targets", "Targets of the use case", sections.targets(report)),
        make("aims", "Aims of the plan", sections.table(tables.aims(report)) if report.aims else Markup("")),
        make("rates", "Power over rate", rates(report)),
        make("trace", "One period", traces(report)),
        make("phases", "Energy per phase", phases(report)),
        make("spread", "Spread", spreads(report)),
        *(make(topic.ident, topic.title, together(report, topic)) for topic in TOPICS),
        make("uncertainty", "What limits this", budgets(report)),
        make("beside", "Beside the figures of others", beside(report)),
        make("wiring", "Boundary and wiring", wiring(report)),
        make("flags", "Flags and gaps", sections.flags(report)),
        make("figures", "Every figure", sections.folded("Show all figures", tables.figures(report))),
        make("table-1-1", "Table 1.1", sections.folded("Show every KPI of the paper's table 1.1", table_one.table(report))),
        make("disclosure", "Disclosure", sections.disclosure(report)),
        make("captures", "Captures", sections.folded("Show all captures", tables.captures(report))),
        make("reproduce", "Reproduce this", sections.reproduce(report)),
    ]


def both(draw: Callable[[int], Markup], caption: str, *under: Markup, width: int = WIDE) -> Markup:
    """A figure drawn for both widths; the style sheet shows the one that fits."""
    wide, narrow = (tag("div", draw(pixels), class_=name) for pixels, name in ((width, "wide"), (NARROW, "narrow")))
    return tag("figure", wide, narrow, *under, tag("figcaption", caption))


def answer(report: RunReport) -> Markup:
    items = [tag("li", sentence) for sentence in verdict.verdicts(report)]
    box = tag("div", tag("p", tag("strong", verdict.measured(report))), tag("ul", *items) if items else "", class_="answer")
    detector = tag("p", verdict.detector_sentence(report)) if any(m.is_event for m in {p.mode for p in report.points}) else Markup("")
    return join([box, detector, cards(report)])


def cards(report: RunReport) -> Markup:
    """Each mode as two figures: what waiting costs, and what one more inference costs."""
    found, numbered = [], variants(report)
    for curve in report.curves:
        if curve.fit is None:
            continue
        found.append(
            tag(
                "li",
                tag("b", mode_key(curve.mode, numbered[curve.key]), curve_label(report, curve.key)),
                tag("span", show(curve.fit.floor), class_="big"),
                tag("div", "to wait (floor power)", class_="note"),
                tag("span", show(curve.fit.incremental), class_="big"),
                tag("div", f"for each inference, {verdict.largest_rate(curve)}.{verdict.untested(curve.fit.floor)}", class_="note"),
            )
        )
    return tag("ul", *found, class_="cards") if found else Markup("")


def mode_key(mode: Mode, variant: int) -> Markup:
    """Line and symbol of a mode's first, second ... curve, as the plots draw it."""
    drawn = svg.tag(
        "g",
        svg.line(1, 7, 25, 7, class_="fit"),
        svg.symbol(SHAPES[mode], 13, 7, class_="dot"),
        class_=plot_rates.curve_class(mode, variant),
    )
    return tag("svg", drawn, viewBox="0 0 26 14", width="26", height="14", aria_hidden="true", class_="modekey")


def legend(items: Iterable[Markup]) -> Markup:
    return tag("ul", *(tag("li", item) for item in items), class_="legend")


def rates(report: RunReport) -> Markup:
    if not any(value_of(point.power) is not None for curve in report.curves for point in curve.points):
        return Markup("")
    numbered = variants(report)
    names = [join([mode_key(c.mode, numbered[c.key]), f"{curve_label(report, c.key)}: {MODE_MEANING[c.mode]}"]) for c in report.curves]
    caption = (
        "Mean power over whole periods. Solid: the fitted line where it was measured, dashed beyond; shaded: its 95 % band. "
        "Vertical: break-even rates with their 95 % interval (grey), and the largest rate each mode can serve (dotted). "
        "Bars: 95 %, often smaller than the symbol."
    )
    plot = both(lambda width: plot_rates.draw(report, width), caption, legend(names))
    return join([plot, sections.table(tables.fits(report))])


def traces(report: RunReport) -> Markup:
    return join(trace(report, item, f"trace{k}") for k, item in enumerate(report.excerpts) if item.t_s)


def trace(report: RunReport, item: Excerpt, ident: str) -> Markup:
    from_to = [join([swatch(phase), f"{phase} {quantity(length, 's')}"]) for phase, length in plot_trace.durations(item)]
    point = next((rate_label(p.rate_hz) for p in report.points if p.key == item.point), item.point)
    caption = f"At {point}, capture {item.capture}. Line: mean, band: lowest to highest record. {capital(item.note)}"
    plot = both(partial(plot_trace.draw, item, ident=ident), caption, legend(from_to))
    return join([tag("h3", capital(MODES[item.mode])), plot])


def capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def swatch(phase: Phase) -> Markup:
    return tag("span", class_=f"swatch p-{phase}")


def phases(report: RunReport) -> Markup:
    rows = plot_phases.bars(report)
    if not rows:
        return Markup("")
    used = [p for p in PHASES if any(e.phase is p for row in rows.values() for e in row)]
    plot = both(
        lambda width: plot_phases.draw(report, width),
        "Energy of one event, from wake to tail; the rest between events is not in it.",
        legend(join([swatch(p), p]) for p in used),
    )
    return join([plot, sections.table(tables.phase_table(report))])


def together(report: RunReport, topic: Topic) -> Markup:
    """What several operating points tell together."""
    found = tables_of(report, topic)
    return join([tag("p", topic.note), *map(sections.table, found)]) if found else Markup("")


def spreads(report: RunReport) -> Markup:
    parts = [spread(report, "energy_per_inference", "Energy per inference"), spread(report, "latency", "Latency")]
    return join(part for part in parts if part)


def spread(report: RunReport, beginning: str, title: str) -> Markup:
    shown = plot_ecdf.curves(report, beginning)
    if not shown:
        return Markup("")
    every = sorted({p.rate_hz for row in shown.values() for p, _ in row})
    names = [join([tag("span", class_=f"swatch r{plot_ecdf.shade(r, every)}"), rate_label(r)]) for r in every]
    quantities = ", ".join(sorted({s.quantity for row in shown.values() for _, s in row}))
    caption = (
        f"Share of inferences at or below the value ({quantities}), one line a rate. "
        "The spread is the device's and the method's; errors common to all are not in it."
    )
    plot = both(lambda width: plot_ecdf.draw(shown, width, beginning, title), caption, legend(names))
    return join([tag("h3", title), plot])


def budgets(report: RunReport) -> Markup:
    shown = [(label, record) for label, record in main_kpis(report) if record.budget]
    if not shown:
        return Markup("")
    key = legend(
        join([tag("span", class_=f"swatch k-{kind}"), words])
        for kind, words in (("A", "scatter (type A)"), ("B", "instrument and method (type B)"))
    )
    parts = [tag("p", verdict.limits_in_general(report, [record for _, record in shown])), key]
    found = []
    for k, (label, record) in enumerate(shown):
        draw = partial(plot_budget.draw, record, ident=f"budget{k}", label=label)
        found.append(
            tag(
                "div",
                tag("h3", f"{label}: ", tag("span", show(record), class_="nowrap")),
                both(draw, verdict.limit_sentence(record), width=WIDE // 2 - 10),
            )
        )
    return join([*parts, tag("div", *found, class_="budgets")])


def beside(report: RunReport) -> Markup:
    """Theirs in slanted grey: not measured here, and never ranked."""
    if not report.beside:
        return Markup("")
    notes = tag("ul", *(tag("li", note) for note in BESIDE_NOTES), class_="note")
    return join([tag("div", sections.table(beside_table(report.beside)), class_="foreign"), notes])


def wiring(report: RunReport) -> Markup:
    plot = both(lambda width: plot_wiring.draw(report.bench, report.board, width), report.bench.boundary)
    return join([plot, sections.table(tables.accuracy(report))])
