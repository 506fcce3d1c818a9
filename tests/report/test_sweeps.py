"""What sweeps, arrivals and sources tell stands in the report where there is any of it, with reasons where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from labd.report import html, json, markdown
from labd.report.catalogue import place, title
from labd.report.data import RunReport
from labd.report.sweeps import TOPICS, tables_of
from tests.report import sample

CLOCKED = OperatingPoint(Mode.ALWAYS_ON, 4.0, 1.8, "snn", {"clock": "48000000"})


def figure(kpi: str, at: str, value: float | None, unit: str, *flags: str) -> KpiRecord:
    low, high = (None, None) if value is None else (0.99 * value, 1.01 * value)
    return KpiRecord(kpi, at, value, unit, None if value is None else 0.005 * value, low, high, 3, Provenance.COMPUTED, "S1", flags=flags)


@pytest.fixture
def report() -> RunReport:
    more = (
        figure("clock_sweep.static_power.rest", "always_on/v=1.8/snn", 142e-6, "W"),
        figure("clock_sweep.energy_per_cycle.rest", "always_on/v=1.8/snn", 12e-12, "J"),
        figure("clock_sweep.dynamic_energy", "always_on/v=1.8/snn", None, "J", "no capture tells it"),
        figure("supply_sweep.capacitance", "always_on/snn/clock=48000000", 9.5e-6, "F", "does not go with the square of the supply"),
        figure("best_time_out", "event_sleep", 6.5e-3, "s"),
        figure("battery_life.charge", "event_sleep/r=1", 1.2e8, "s"),
        figure("harvester.neutral_rate", "always_on", None, "Hz", "not sustainable even asleep"),
        figure("harvester.buffer", "event_sleep", 10.7e-6, "F"),
    )
    full = sample.full_report()
    return replace(full, points=(*full.points, CLOCKED), kpis=(*full.kpis, *more))


@pytest.mark.parametrize("render", [html.render, markdown.render])
def test_every_topic_has_a_section_where_there_is_any_of_it(render: Callable[[RunReport], str], report: RunReport) -> None:
    said = render(report).replace("\\", "")
    assert [topic.title for topic in TOPICS if f"{topic.title}</h2>" not in said and f"## {topic.title}" not in said] == []
    for words in ("12.00 ± 0.12 pJ", "9.500 ± 0.095 µF", "6.500 ± 0.065 ms", "does not go with the square of the supply"):
        assert words in said
    assert "not sustainable even asleep" in said


@pytest.mark.parametrize("render", [html.render, markdown.render])
def test_a_run_without_any_has_none(render: Callable[[RunReport], str]) -> None:
    plain = sample.full_report()
    said = render(replace(plain, kpis=tuple(r for r in plain.kpis if not r.id.startswith("battery"))))
    assert [topic.title for topic in TOPICS if f"{topic.title}</h2>" in said or f"## {topic.title}" in said] == []


def test_a_row_is_a_place_and_says_in_words_which(report: RunReport) -> None:
    (table,) = tables_of(report, TOPICS[0])[:1]
    assert table.rows == (("always-on, 1.8 V, snn", "142.0 ± 1.4 µW", "12.00 ± 0.12 pJ", "no capture tells it", ""),)
    assert place(report, "always_on/snn/clock=48000000") == "always-on, snn, clock 48 MHz"
    assert place(report, "event_sleep/r=1") == "event-sleep, 1 /s"
    assert place(report, CLOCKED.key).endswith("clock 48 MHz")
    assert place(report, "somewhere/else") == "somewhere/else"


def test_the_json_form_has_the_figures_among_the_others(report: RunReport) -> None:
    found = {one["id"] for one in json.document(report)["kpis"]}
    assert {"clock_sweep.static_power.rest", "supply_sweep.capacitance", "best_time_out", "harvester.buffer"} <= found


@pytest.mark.parametrize("kpi", [kpi for topic in TOPICS for _, columns in topic.tables for _, kpi in columns])
def test_every_figure_of_a_topic_has_a_title(kpi: str) -> None:
    assert title(kpi)[0].isupper()
