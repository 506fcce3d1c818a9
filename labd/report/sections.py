"""The parts of the HTML page that are tables and text."""

from __future__ import annotations

from dataclasses import dataclass

from labd.report import tables, verdict
from labd.report.data import NOT_DISCLOSED, RunReport
from labd.report.svg import Markup, join, tag
from labd.report.tables import Table
from labd.report.targets import answers_table, overall, target_answers


@dataclass(frozen=True, slots=True)
class Section:
    """A headed part of the page; `ident` is its anchor."""

    ident: str
    title: str
    body: Markup

    def markup(self) -> Markup:
        return tag("section", tag("h2", self.title, id=self.ident), self.body, aria_labelledby=self.ident)


def alerts(report: RunReport) -> list[Markup]:
    """What a reader must know before any figure: an incomplete run, errors, simulated instruments."""
    found = []
    if not report.run.complete:
        found.append(f"This run is not complete (state: {report.run.state}). Figures rest on what was captured.")
    found += [f"{n.where or 'Run'}: {n.text}" for n in report.notices if n.severity == "error"]
    simulated = [i.name for i in report.bench.instruments if i.virtual]
    if simulated:
        found.append(f"Simulated bench: {', '.join(simulated)} virtual. These figures say nothing about real silicon.")
    return [tag("p", text, class_="alert") for text in found]


def scrolling(inner: Markup, label: str) -> Markup:
    """A region that scrolls sideways on a phone, reachable by keyboard."""
    return tag("div", inner, class_="scroll", role="region", aria_label=label, tabindex="0")


def head_row(table: Table) -> Markup:
    cells = [tag("th", heading, scope="col", class_="n" if k in table.numeric else None) for k, heading in enumerate(table.head)]
    return tag("thead", tag("tr", *cells))


def body_row(row: tuple[str, ...], table: Table) -> Markup:
    rest = [
        tag("td", text, class_="n" if k in table.numeric else "nowrap" if len(text) <= 12 else None)
        for k, text in enumerate(row[1:], start=1)
    ]
    return tag("tr", tag("th", row[0], scope="row", class_="key" if len(row[0]) > 16 else None), *rest)


def table(item: Table) -> Markup:
    """A table with caption and scoped headings; nothing at all when it has no rows."""
    if not item.rows:
        return Markup("")
    rows = [body_row(row, item) for row in item.rows]
    return scrolling(tag("table", tag("caption", item.caption), head_row(item), tag("tbody", *rows)), item.caption)


def folded(summary_text: str, item: Table) -> Markup:
    """A long table behind a click; on paper it is open."""
    inner = table(item)
    return tag("details", tag("summary", f"{summary_text} ({len(item.rows)})"), inner) if inner else Markup("")


def summary(report: RunReport) -> Markup:
    """One table, the modes as row groups."""
    groups = tables.summary(report)
    if not groups:
        return Markup("")
    first = next(iter(groups.values()))
    bodies = []
    for label, item in groups.items():
        heading = tag("tr", tag("th", label, scope="rowgroup", colspan=str(len(first.head))), class_="group")
        bodies.append(tag("tbody", heading, *(body_row(row, item) for row in item.rows)))
    caption = "Value ± U95 per mode and rate; an em dash means that there is no such figure"
    meanings = [tag("li", tag("b", c.heading), f": {c.meaning}") for c in tables.summary_columns(report)]
    written = tag("table", tag("caption", caption), head_row(first), *bodies)
    return join([scrolling(written, caption), tag("ul", *meanings, class_="note")])


def targets(report: RunReport) -> Markup:
    """Whether each mode meets what the use case asks for."""
    answers = target_answers(report)
    if not answers:
        return Markup("")
    told = [tag("li", verdict.capitalised(said)) for said in overall(report, answers)]
    return join([tag("div", tag("ul", *told), class_="answer"), table(answers_table(report, answers))])


def flags(report: RunReport) -> Markup:
    parts = [table(t) for t in (tables.notices(report), tables.withheld(report), tables.flagged(report))]
    return join(parts) or tag("p", "No warning, no withheld figure, no flag.")


def disclosure(report: RunReport) -> Markup:
    """One definition table a group; what is not disclosed is printed as such, not left out."""
    parts = [tag("p", sentence)] if (sentence := tables.completeness(report)) else []
    if report.untold:
        parts.append(folded("Show what is not told, and why it is asked for", tables.untold(report)))
    for group, items in tables.disclosure(report).items():
        rows = [
            tag("tr", tag("th", name, scope="row"), tag("td", value, class_="missing" if value == NOT_DISCLOSED else "key"))
            for name, value in items
        ]
        parts += [tag("h3", group), scrolling(tag("table", tag("tbody", *rows), aria_label=group, class_="facts"), group)]
    return join(parts)


def reproduce(report: RunReport) -> Markup:
    run = report.run
    parts = []
    if run.commands:
        parts.append(tag("pre", tag("code", "\n".join(run.commands))))
    facts = (
        ("Seeds", {k: str(v) for k, v in run.seeds.items()}),
        ("Hashes", run.hashes),
        ("Versions", {"labd": run.labd_version, **run.versions}),
        ("Environment", run.environment),
    )
    for name, values in facts:
        rows = [tag("tr", tag("th", k, scope="row"), tag("td", tag("code", v))) for k, v in values.items()]
        if rows:
            parts += [tag("h3", name), scrolling(tag("table", tag("tbody", *rows), aria_label=name, class_="facts"), name)]
    if run.order:
        listed = tag("ol", *(tag("li", tag("code", key)) for key in run.order))
        parts.append(tag("details", tag("summary", f"Order of the captures ({len(run.order)})"), listed))
    return join(parts)
