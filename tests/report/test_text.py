"""What a terminal shows of the doubts about a figure: flags, largest rates without a value, lines that test nothing."""

from __future__ import annotations

from dataclasses import replace

from labd.kpi.rate_model import TWO_RATES
from labd.records import KpiRecord, Mode
from labd.report import html, tables, text, verdict
from labd.report.data import RunReport
from tests.report import sample

LONG = "burst longer than the board's bound"


def flagged(report: RunReport, kpi: str, at: str, *flags: str) -> RunReport:
    """The same with flags on one figure, or on all of its id where `at` is empty."""
    kpis = tuple(replace(r, flags=(*r.flags, *flags)) if r.id.startswith(kpi) and at in ("", r.at) else r for r in report.kpis)
    return replace(report, kpis=kpis)


def row(said: str, rate: str) -> str:
    return next(line for line in said.splitlines() if line.strip().startswith(rate))


def test_a_flag_of_a_figure_is_a_mark_in_its_row_and_a_line_under_the_table() -> None:
    report = sample.full_report()
    at = next(p.key for p in report.points if p.rate_hz > 0)
    plain, said = text.render(report), text.render(flagged(report, "energy_per_inference.at_rate", at, LONG))
    assert LONG not in plain
    number = next(line.split("]")[0] for line in said.splitlines() if line.endswith(f"] {LONG}"))
    assert sum(line.rstrip().endswith(f"{number}]") for line in said.splitlines()) == 1, "one row has it"


def test_a_flag_of_every_figure_is_said_once() -> None:
    said = text.render(flagged(sample.full_report(), "", "", "smu: cold"))
    assert said.count("smu: cold") == 1
    assert "Every figure: smu: cold." in said


def largest(value: float | None, *flags: str) -> KpiRecord:
    known = sample.record("largest_rate", "event_sleep", value or 1.0, "Hz")
    return known if value else replace(known, value=None, u=None, low=None, high=None, flags=flags)


def with_largest(record: KpiRecord) -> RunReport:
    report = sample.full_report()
    curves = tuple(replace(c, r_max_hz=record.value, largest_rate=record) if c.mode is Mode.EVENT_SLEEP else c for c in report.curves)
    return replace(report, curves=curves)


def test_a_largest_rate_is_printed_with_its_interval_and_without_a_value_with_the_reason() -> None:
    known, gone = with_largest(largest(43.9)), with_largest(largest(None, LONG))
    assert "up to 43.90 ± 0." in text.render(known)
    assert any("43.90 ± 0." in row[-1] for row in tables.fits(known).rows)
    assert f"largest rate not known ({LONG})" in " ".join(text.render(gone).split())
    assert f"largest rate not known ({LONG})" in html.render(gone).replace("&#x27;", "'").replace("&#39;", "'")
    assert any(row[-1] == f"not known ({LONG})" for row in tables.fits(gone).rows)


def test_a_line_through_two_rates_says_so_and_so_does_its_break_even() -> None:
    report = sample.full_report()
    curves = tuple(replace(c, fit=c.fit and replace(c.fit, floor=replace(c.fit.floor, flags=(TWO_RATES,)))) for c in report.curves)
    pairs = tuple(replace(b, record=replace(b.record, flags=(TWO_RATES,))) for b in report.break_evens)
    found = replace(report, curves=curves, break_evens=pairs)
    words = "Fitted through 2 rates, linearity not tested."
    assert all(words in verdict.fit_sentence(found, c) for c in found.curves if c.fit)
    assert any(words in sentence for sentence in verdict.verdicts(found))
    assert words not in text.render(report)
