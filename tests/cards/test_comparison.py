"""What stands beside what, which is better, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labd.analyse.side import compare_runs
from labd.cards.comparison import Verdict, compare, difference
from labd.cards.side import Conditions, Figure, FigurePlace, Side, Specimen
from labd.errors import FileError
from labd.records import BudgetLine, KpiRecord, Mode, Provenance
from labd.store.catalogue import Catalogue
from tests.cards.fair_runs import compared, first, second, store, with_bench, with_card

PLACE = FigurePlace((Mode.ALWAYS_ON,), 10.0)
ENERGY = "energy_per_inference.gross"
GAIN, SCATTER = "smu:current[0.1 A].gain", "A:gross"
SMU = Specimen("smu", ("source", "meter"), "Maker 1", "MY1", "2026-06-01", virtual=False)


def energy(value: float, *terms: tuple[str, float], by: Provenance = Provenance.MEASURED) -> KpiRecord:
    """A normal distribution of the root sum of squares of its terms."""
    u = math.hypot(*(size for _, size in terms)) if terms else None
    low, high = (None, None) if u is None else (value - 1.96 * u, value + 1.96 * u)
    lines = tuple(BudgetLine(name, size, "A" if name.startswith("A:") else "B", "normal") for name, size in terms)
    return KpiRecord(ENERGY, PLACE.modes[0], value, "J", u, low, high, 50, by, "GUM Supplement 1", budget=lines)


def side(name: str, *records: KpiRecord, run: str = "", tool: Specimen = SMU, board: str = "") -> Side:
    conditions = Conditions(3.0, 3.0, 23.0, 1.0, instruments=(tool,))
    figures = tuple(Figure(PLACE, record) for record in records)
    return Side(name, run or f"run {name}", board or f"board {name}", "dnn", conditions, warm_up=5, figures=figures, use_case="the same")


def best(sides: Sequence[Side]) -> str:
    (row,) = compare(sides).rows
    return row.best


def test_one_is_better_only_where_the_interval_of_the_difference_excludes_zero() -> None:
    near, far = energy(1.02, (SCATTER, 0.01)), energy(1.04, (SCATTER, 0.01))
    assert best([side("A", energy(1.0, (SCATTER, 0.01))), side("B", near)]) == ""
    assert best([side("A", energy(1.0, (SCATTER, 0.01))), side("B", far)]) == "A"
    assert best([side("A", far), side("B", energy(1.0, (SCATTER, 0.01)))]) == "B"
    # 1.96 hypot(0.01, 0.01) = 0.0277: the intervals of the two overlap below 0.0392 and the difference is resolved all the same
    assert best([side("A", energy(1.0, (SCATTER, 0.01))), side("B", energy(1.03, (SCATTER, 0.01)))]) == "A"


def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(4000):
        gain = rng.normal(0, 0.03)
        a, b = (truth * (1 + gain) + rng.normal(0, 0.005) for truth in (1.0, 1.1))
        first_energy, second_energy = energy(a, (GAIN, 0.03), (SCATTER, 0.005)), energy(b, (GAIN, 0.033), (SCATTER, 0.005))
        found = difference(side("A"), first_energy, side("B"), second_energy)
        assert found is not None
        covered += found.low <= 0.1 <= found.high
    assert 0.94 < covered / 4000 < 0.96


def test_a_lopsided_interval_keeps_its_sides() -> None:
    """Zou 2007, for no correlation: the lower end has the lower arm of the one and the upper arm of the other."""
    a, b = replace(energy(1.0), low=0.9, high=1.3, u=0.1), replace(energy(2.0), low=1.6, high=2.1, u=0.1)
    found = difference(side("A"), a, side("B"), b)
    assert found is not None
    assert found.low == pytest.approx(1.0 - math.hypot(0.4, 0.3))
    assert found.high == pytest.approx(1.0 + math.hypot(0.1, 0.1))


def test_what_somebody_declares_stands_there_and_wins_nothing() -> None:
    told = energy(0.1, by=Provenance.DECLARED)
    found = compare([side("A", energy(1.0, (SCATTER, 0.01))), side("B", told)])
    (row,) = found.rows
    assert [(cell.ranked, cell.refused) for cell in row.cells] == [(True, ()), (False, ())]
    assert (row.best, row.differences) == ("", ())


def test_of_three_the_best_beats_both_and_one_that_is_told_keeps_it_from_that() -> None:
    a, b, c = (side(name, energy(value, (SCATTER, 0.01)), board="one") for name, value in (("A", 1.0), ("B", 0.8), ("C", 0.9)))
    assert best([a, b, c]) == "B"
    assert best([a, b, replace(c, figures=(Figure(PLACE, energy(0.81, (SCATTER, 0.01))),))]) == ""


def test_the_third_stands_beside_the_first_where_the_second_must_not() -> None:
    a, b, c = (side(name, energy(1.0, (SCATTER, 0.01))) for name in "ABC")
    hot = replace(b, conditions=replace(b.conditions, ambient_c=40.0))
    (row,) = compare([a, hot, c]).rows
    assert [(cell.side, cell.figure is None, cell.refused) for cell in row.cells] == [
        ("A", False, ()),
        ("B", True, ("C18",)),
        ("C", False, ()),
    ]


def test_a_number_that_is_left_alone_is_not_shown_either() -> None:
    a, b = (side(name, energy(1.0, (SCATTER, 0.01))) for name in "AB")
    found = compare([a, replace(b, conditions=replace(b.conditions, ambient_c=40.0))])
    assert [cell.figure for cell in found.rows[0].cells] == [None, None]
    assert [cell.refused for cell in found.rows[0].cells] == [("C18",), ("C18",)]
    assert found.verdict is Verdict.REFUSED


def test_the_same_net_on_some_platforms_and_own_nets_on_others_are_not_ranked(tmp_path: Path) -> None:
    third = with_bench("board.board.name", "third board")(with_card("hardware.chip", "third chip")(second()))
    found = compared(tmp_path, first(), second(), third)
    assert any("no ranking" in one.what for one in found.findings if one.rule == "C09")
    rows = [row for row in found.rows if row.kpi == ENERGY]
    assert rows
    assert all(len(row.shown) == 3 and row.best == "" for row in rows)


def test_what_is_left_to_compare_is_two_sides_or_more(tmp_path: Path) -> None:
    run = store(tmp_path, first())
    other = store(tmp_path, second(), hours=1)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        with pytest.raises(FileError, match=r"there is one: dnn at 3 V \(run .*name another run .*`labd runs`.*several models or supplies"):
            compare_runs(catalogue, [run, run])
        with pytest.raises(FileError, match=r"of dnn at 3 V \(run .*asked for \(model snn\) leaves none"):
            compare_runs(catalogue, [run, other], models=["snn"])
        with pytest.raises(FileError, match=r"asked for \(model dnn, 1.8 V\) leaves none: ask for less"):
            compare_runs(catalogue, [run, other], models=["dnn"], supply_v=1.8)
        assert [one.name for one in compare_runs(catalogue, [other, run], models=["dnn"], supply_v=3.0).sides] == ["A", "B"]
