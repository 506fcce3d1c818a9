"""The report as Markdown (GitHub tables), for a repository or an issue."""

from __future__ import annotations

import re

from labd.report import table_one, tables, verdict
from labd.report.beside import beside_table
from labd.report.catalogue import main_kpis
from labd.report.data import RunReport
from labd.report.numbers import show
from labd.report.sweeps import TOPICS, tables_of
from labd.report.tables import Table
from labd.report.targets import answers_table, overall, target_answers

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~$&])")
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]+")


def render(report: RunReport) -> str:
    """Headline, summary, fits, uncertainty, flags, disclosure; no plots. Text from outside is escaped."""
    parts = [head(report), *(f"- {literal(s)}" for s in verdict.verdicts(report)), "", literal(verdict.detector_sentence(report))]
    for table in tables.summary(report).values():
        parts += ["", f"### {literal(table.caption)}", "", written(table)]
    answers = target_answers(report)
    parts += section(answers_table(report, answers))
    parts += ["", *(f"- {literal(verdict.capitalised(said))}" for said in overall(report, answers))] if answers else []
    parts += section(tables.aims(report)) if report.aims else []
    for table in (tables.fits(report), tables.phase_table(report), limits(report)):
        parts += section(table)
    for topic in TOPICS:
        found = tables_of(report, topic)
        parts += ["", f"## {topic.title}", "", literal(topic.note)] if found else []
        for one in found:
            parts += ["", f"### {literal(one.caption)}", "", written(one)]
    for table in (tables.notices(report), tables.withheld(report), tables.flagged(report), tables.figures(report), tables.accuracy(report)):
        parts += section(table)
    parts += section(table_one.table(report))
    parts += section(beside_table(report.beside))
    parts += ["", "## Disclosure", "", literal(tables.completeness(report)), *section(tables.untold(report))]
    for group, items in tables.disclosure(report).items():
        parts += ["", written(Table(group, (group, ""), tuple(items)))]
    parts += [*section(tables.captures(report)), *reproduce(report)]
    return "\n".join(parts) + "\n"


def literal(text: str) -> str:
    """Text that Markdown shows as it is: one line, every special character escaped."""
    return _SPECIAL.sub(r"\\\1", _BREAKS.sub(" ", text))


def head(report: RunReport) -> str:
    run = report.run
    title = literal(f"{run.name}: energy per inference of {report.board.name}")
    state = "" if run.complete else " **This run is not complete.**"
    facts = literal(f"Run {run.run_id}, {run.started} to {run.ended}, {run.state}. labd {run.labd_version}.")
    simulated = ", ".join(i.name for i in report.bench.instruments if i.virtual)
    warning = f"\n\n> Simulated bench ({literal(simulated)}): these figures say nothing about real silicon." if simulated else ""
    return f"# {title}\n\n{facts}{state}{warning}\n\n**{literal(verdict.measured(report))}**\n"


def section(table: Table) -> list[str]:
    return ["", f"## {literal(table.caption)}", "", written(table)] if table.rows else []


def written(table: Table) -> str:
    """A GitHub table; numeric columns flush right."""
    rules = ["---:" if k in table.numeric else "---" for k in range(len(table.head))]
    rows = [table.head, *table.rows]
    lines = ["| " + " | ".join(literal(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(rules) + " |", *lines[1:]])


def limits(report: RunReport) -> Table:
    """What limits each main figure."""
    rows = tuple((label, show(record), verdict.limit_sentence(record)) for label, record in main_kpis(report) if record.budget)
    return Table("What limits this result", ("Figure", "Value ± U95", "Largest term"), rows, frozenset({1}))


def reproduce(report: RunReport) -> list[str]:
    run = report.run
    commands = [f"    {_BREAKS.sub(' ', command)}" for command in run.commands]
    facts = {**{f"seed {k}": str(v) for k, v in run.seeds.items()}, **{f"hash {k}": v for k, v in run.hashes.items()}, **run.versions}
    return ["", "## Reproduce this", "", *commands, "", *(f"- {literal(k)}: {literal(v)}" for k, v in facts.items())]
