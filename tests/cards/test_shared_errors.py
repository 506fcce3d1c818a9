"""Which errors are gone from a difference, and that equal nets get no winner from those that are not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from labd.cards.comparison import compare
from labd.cards.shared_errors import correlation, half_width
from labd.cards.side import Conditions, Figure, FigurePlace, Side, Specimen
from labd.kpi.capture import analyse_capture
from labd.kpi.inputs import MeterTerms, RangeTerm
from labd.records import BudgetLine, KpiRecord, Mode, Provenance
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut, draw_errors

PLACE = FigurePlace((Mode.ALWAYS_ON,), 10.0)
GAIN, OFFSET = "smu:current[0.1 A].gain", "smu:current[0.1 A].offset"
SMU = Specimen("smu", ("source", "meter"), "Maker 1", "MY1", "2026-06-01", virtual=False)


def figure(term: str, u: float = 0.01) -> KpiRecord:
    """With one term; u: signed, as budgets have it."""
    line = BudgetLine(term, u, "A" if term.startswith("A:") else "B", "normal")
    return KpiRecord("power.mean", "p", 1.0, "W", abs(u), 0.98, 1.02, 50, Provenance.MEASURED, "", budget=(line,))


def side(name: str, *records: KpiRecord, run: str = "one", tool: Specimen = SMU) -> Side:
    conditions = Conditions(3.0, 3.0, 23.0, 1.0, instruments=(tool,))
    figures = tuple(Figure(PLACE, record) for record in records)
    return Side(name, run, "board", "dnn", conditions, warm_up=5, figures=figures, use_case="the same")


@pytest.mark.parametrize(
    ("term", "in_one_run", "between_runs"),
    [
        (GAIN, 1, 1),
        ("smu:voltage.gain", 1, 1),
        ("smu:timebase", 1, 1),
        ("smu:lead", 1, 0),
        ("battery:usable", 1, 0),
        ("detector:power", 1, 0),
        (OFFSET, 0, 0),
        ("smu:voltage.offset", 0, 0),
        ("smu:source_voltage.spread", 0, 0),
        ("smu:leakage", 0, 0),
        ("smu:burden_voltage", 0, 0),
        ("smu:record.start", 0, 0),
        ("smu:within_reading.event_sleep.work", 0, 0),
        ("smu:power.gain", 0, 0),
        ("A:gross", 0, 0),
    ],
)
def test_what_is_one_number_for_both_is_shared_and_what_may_have_moved_is_not(term: str, in_one_run: float, between_runs: float) -> None:
    found = figure(term)
    assert correlation(side("A"), found, side("B"), found) == in_one_run
    assert correlation(side("A"), found, side("B", run="two"), found) == between_runs


def test_a_gain_is_shared_within_its_range_only() -> None:
    assert correlation(side("A"), figure(GAIN), side("B"), figure("smu:current[0.001 A].gain")) == 0.0
    other = side("B")
    low = replace(other, conditions=replace(other.conditions, supply_v=1.8))  # perhaps on the voltmeter's next range
    assert correlation(side("A"), figure("smu:voltage.gain"), low, figure("smu:voltage.gain")) == 0.0
    assert correlation(side("A"), figure(GAIN), low, figure(GAIN)) == 1.0


def test_an_offset_that_weighs_against_itself_counts_as_if_it_had_not_moved() -> None:
    """Anything from 0 to 1 is possible; a difference is least sure where what pushes one up pushes the other down."""
    up, down = figure(OFFSET, 0.01), figure(OFFSET, -0.01)
    assert correlation(side("A"), up, side("B"), down) == -1.0
    assert correlation(side("A"), up, side("B", run="two"), down) == -1.0
    assert correlation(side("A"), up, side("B", run="two", tool=replace(SMU, serial="MY2")), down) == 0.0


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({}, True),
        ({"serial": "MY2"}, False),
        ({"serial": ""}, False),
        ({"calibrated": "2026-11-01"}, False),
        ({"virtual": True}, False),
    ],
)
def test_gain_is_shared_by_runs_with_one_specimen_and_by_no_others(changes: dict[str, object], shared: bool) -> None:
    other = side("B", run="two", tool=replace(SMU, **changes))  # type: ignore[arg-type]  # a table of changes
    assert correlation(side("A"), figure(GAIN), other, figure(GAIN)) == float(shared)


@pytest.mark.parametrize("gain", [0.0005, 0.04])
def test_one_board_under_two_names_gets_no_winner_from_an_offset_that_wandered_between_its_captures(gain: float) -> None:
    """The analysis itself, of floors that an instrument with an offset limit of 3 % of them has read: the gain is the run's, the offset is
    another one in each capture. Of equal pairs one in 20 may have a winner."""
    pairs, winners = 400, 0
    meter = MeterTerms("smu", (RangeTerm(0.01, gain, 4e-5),), 250e-6, 1.2e-3, 50e-6)
    for seed in range(pairs):
        rng = np.random.default_rng(seed)
        run = draw_errors(rng)
        sides = []
        for name in "AB":
            bench = Bench(terms=meter, noise_a=1e-6, errors=run | {"offset": float(rng.uniform(-1, 1))})
            capture = synth.floor(Dut(Mode.ALWAYS_ON, rest_a=1.4e-3), bench, rng, length_s=0.1, key=name)
            idle = next(record for record in analyse_capture(capture).records if record.id == "power.idle")
            sides.append(side(name, idle))
        (row,) = compare(sides).rows
        assert all(cell.ranked for cell in row.cells)
        winners += bool(row.best)
    assert winners <= 33  # 5 % of 400, and 3 standard deviations


def test_equal_nets_of_few_events_get_no_winner_when_their_gain_is_gone() -> None:
    """Of each the interval is that of its gain, nearly; the scatter of 4 events that is left has tails."""
    rng = np.random.default_rng(5)
    pairs, winners = 1000, 0
    for _ in range(pairs):
        common = rng.uniform(-1, 1) * 0.05
        sides = []
        for name in "AB":
            events = 1 + common + rng.normal(0, 0.01, 4)
            scatter = float(events.std(ddof=1)) / 2
            lines = (BudgetLine(GAIN, 0.05 / 3**0.5, "B", "rectangular"), BudgetLine(f"A:{name}", scatter, "A", "t", 3.0))
            u, value = math.hypot(*(line.u for line in lines)), float(events.mean())
            record = KpiRecord("power.idle", "p", value, "W", u, value - 0.05, value + 0.05, 4, Provenance.MEASURED, "", budget=lines)
            sides.append(side(name, record))
        (row,) = compare(sides).rows
        winners += bool(row.best)
    assert winners <= 70  # 5 % of 1000, and 2.9 standard deviations


def test_a_scatter_that_hardly_counts_makes_a_difference_no_wider() -> None:
    lines = (BudgetLine(OFFSET, 0.01, "B", "rectangular"), BudgetLine("A:one", 1e-7, "A", "t", 3.0))
    record = replace(figure(OFFSET), budget=lines)
    assert half_width(record, record, 0.0) == pytest.approx(1.96 * 0.01 * 2**0.5, rel=2e-3)
