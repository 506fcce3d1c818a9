"""What a plan aims at stands in every form of a report, with what is in the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labd.report import html, markdown, text
from labd.report.data import AimFact, AimsEnd, RunReport
from tests.report import sample

FLOOR = AimFact("fit.floor_power", "always_on", 0.005, 0.00864, False, "the offset of smu in its 0.1 A range of current")
SLOPE = AimFact("fit.incremental_energy", "event_sleep", 0.01, 0.004, True, "")
CROSSING = AimFact("break_even_rate", "always_on|event_sleep", 0.02, None, True, "event-based wins at every reachable rate")


@pytest.fixture
def report() -> RunReport:
    end = AimsEnd(412.0, 600.0, 300.0, ("aim not met: Floor power",))
    return replace(sample.full_report(), aims=(FLOOR, SLOPE, CROSSING), aims_end=end)


def test_the_terminal_is_told_of_what_is_missed_alone(report: RunReport) -> None:
    said = " ".join(text.render(report).split())
    assert "Aim not met: Floor power" in said
    assert "± 0.864 %, aimed at ± 0.5 %; the offset of smu in its 0.1 A range of current." in said
    assert said.count("Aim not met") == 1
    assert "Measured for 412 s of 600 s; about 300 s more would do." in said
    assert "Every aim of the plan is met." in text.render(replace(report, aims=(SLOPE, CROSSING)))
    assert "aim" not in text.render(replace(report, aims=())).lower().replace("claim", "")


@pytest.mark.parametrize("render", [html.render, markdown.render])
def test_a_table_has_every_aim_with_what_was_reached_and_why_not_better(render: object, report: RunReport) -> None:
    said = render(report)  # type: ignore[operator]
    for words in (
        "What the plan aims at",
        "0.864 %",
        "not met",
        "event-based wins at every reachable rate",
        "no such rate",
        "412 s",
        "about 300 s more would do",
    ):
        assert words in said.replace("\\", "")
    assert "What the plan aims at" not in render(replace(report, aims=()))  # type: ignore[operator]
