"""The result as a plain-text table for the terminal: per mode and rate, then fits and break-even rates."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from labd.kpi.rate_model import TWO_RATES
from labd.records import KpiRecord, OperatingPoint
from labd.report import tables, verdict
from labd.report.catalogue import AT_RATE, LATENCY, MEAN_POWER, WAKE_UP, curve_label
from labd.report.data import RunReport, curve_key
from labd.report.numbers import TERM_UNKNOWN, words
from labd.report.tables import Table
from labd.report.targets import overall, sentence, target_answers

WIDTH = 100
_ASCII = str.maketrans(
    {"±": "+-", "µ": "u", "Ω": "Ohm", "°": "deg ", "—": "-", "−": "-", "²": "2", "·": ".", "─": "-", "…": "...", "≥": ">="}
)
_SHOWN = (MEAN_POWER, AT_RATE, LATENCY, WAKE_UP)  # columns of the summary that a terminal has room for


def render(report: RunReport, *, ascii_only: bool = False) -> str:
    """About 95 columns wide. ascii_only writes `+-` and `uJ` for terminals without Unicode. Control characters are replaced."""
    lines = [verdict.measured(report), ""]
    if not verdict.nothing(report):
        lines += [*figures(report), ""]
    lines += [*aims(report), *targets(report), *warnings(report), tables.completeness(report)]
    text = "\n".join(folded(printable(line)) for line in lines) + "\n"
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii") if ascii_only else text


def figures(report: RunReport) -> list[str]:
    """Table, fits and break-even rates, with marks for the flags that figures carry."""
    head, groups = summary(report)
    widths = [max(len(row[k]) for row in (head, *(r for rows in groups.values() for r in rows))) for k in range(len(head))]
    notes = Footnotes(report)
    lines = [aligned(head, widths), "─" * (sum(widths) + 2 * len(widths) - 2)] if groups else []
    for label, rows in groups.items():
        own = [p for p in report.points if curve_label(report, curve_key(p)) == label]
        lines += [label, *(aligned(row, widths) + notes.of(shown(report, p)) for row, p in zip(rows, own, strict=True))]
    fitted = [(verdict.fit_sentence(report, c), [c.fit.floor, c.fit.incremental] if c.fit else []) for c in report.curves]
    lines += ["", *(verdict.capitalised(sentence) + notes.of(records) for sentence, records in fitted)]
    if starts := verdict.start_sentences(report):
        lines += ["", *starts]
    compared = zip(verdict.verdicts(report), report.break_evens, strict=True)
    lines += ["", *(sentence + notes.of([item.record]) for sentence, item in compared), verdict.detector_sentence(report)]
    return [*lines, *notes.lines(), "± is U95, the half width of the 95 % coverage interval."]


def aims(report: RunReport) -> list[str]:
    """What the plan aims at: a sentence for each figure that is not known well enough, one for all where every one is."""
    if report.aims and all(one.met for one in report.aims):
        return ["Every aim of the plan is met."]
    missed = [tables.aim(report, one) for one in report.aims if not one.met]
    lines = [f"Aim not met: {what}, {where}: {reached}, aimed at {aimed}; {why}." for what, where, aimed, reached, _, why in missed]
    if missed and (end := report.aims_end):
        lines.append(f"Measured for {end.spent_s:.0f} s of {end.time_s:.0f} s{f'; {end.more}' if end.more else ''}.")
    return lines


def targets(report: RunReport) -> list[str]:
    """What the use case asks for: every answer, then one sentence a mode."""
    answers = target_answers(report)
    return [*(verdict.capitalised(sentence(report, item)) for item in answers), *map(verdict.capitalised, overall(report, answers))]


def shown(report: RunReport, point: OperatingPoint) -> list[KpiRecord]:
    """The figures in a row of the table."""
    found = [tables.of_cell(report, point, column) for column in tables.summary_columns(report) if column.ids in _SHOWN]
    return [record for record in found if record is not None]


class Footnotes:
    """Numbers the flags of figures in the order of print. What every figure of the table carries is said once, without a number; what a
    cell or a sentence says itself is left out."""

    def __init__(self, report: RunReport) -> None:
        every = [set(self._flags(record)) for point in report.points for record in shown(report, point)]
        self._common = sorted(set.intersection(*every)) if len(every) > 1 else []
        self._numbers: dict[str, int] = {}

    @staticmethod
    def _flags(record: KpiRecord) -> list[str]:
        said = (TERM_UNKNOWN, TWO_RATES)
        return [f for f in record.flags if record.value is not None and f not in said and not f.startswith("one value")]

    def of(self, records: Iterable[KpiRecord]) -> str:
        """` [1][3]`, empty for figures without flags."""
        flags = dict.fromkeys(f for record in records for f in self._flags(record) if f not in self._common)
        marks = "".join(f"[{self._numbers.setdefault(flag, len(self._numbers) + 1)}]" for flag in flags)
        return f" {marks}" if marks else ""

    def lines(self) -> list[str]:
        common = [f"Every figure: {', '.join(map(words, self._common))}."] if self._common else []
        return common + [f"[{number}] {words(flag)}" for flag, number in self._numbers.items()]


def summary(report: RunReport) -> tuple[tuple[str, ...], dict[str, list[tuple[str, ...]]]]:
    """Headings and, per mode, rows: the rate and the columns a terminal has room for."""
    columns = [column for column in tables.summary_columns(report) if column.ids in _SHOWN]
    kept = [0, *(1 + k for k, column in enumerate(tables.summary_columns(report)) if column in columns)]
    groups = tables.summary(report)
    rows = {label: [tuple(row[k] for k in kept) for row in table.rows] for label, table in groups.items()}
    return ("Rate", *(column.heading for column in columns)), rows


def aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first = row[0].rjust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]).rstrip()


def warnings(report: RunReport) -> list[str]:
    """Warnings in full, withheld figures as a count (the report names them)."""
    found = [": ".join(part for part in (n.severity, n.where, n.text) if part) for n in report.notices if n.severity != "info"]
    gone: Table = tables.withheld(report)
    if gone.rows:
        found.append(f"{len(gone.rows)} figure{'s' if len(gone.rows) > 1 else ''} withheld; the report says why.")
    return found


def folded(line: str) -> str:
    """Sentences broken at WIDTH; rows of the table are shorter, or left alone for the terminal to wrap."""
    return line if "  " in line or not line.strip() else textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)


def printable(line: str) -> str:
    """Without control characters, so that a hostile name cannot steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in line)
