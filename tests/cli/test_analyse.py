"""`labd analyse` repeats an analysis, says which rule of agreement applies and fails when it does not hold."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.analyse.compare import Rule, difference, differences, rule
from labd.cli import analyse
from labd.records import BudgetLine, KpiRecord, Provenance
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState
from tests.analyse.stored_run import NOW_NS, captures, copy_of_a_run, new_run, record
from tests.cli.local_app import Answer, Commands

HERE = ({"machine": "x86_64", "blas": "b", "simd": ["AVX2"]}, {"labd": "1", "numpy": "2", "uncertainties": "3", "python": "3.11"})
EXACT, NEAR = Rule(True), Rule(False, ("another machine",))


def _kpi(value: float = 2.0, *, u: float | None = 0.1) -> KpiRecord:
    budget = (BudgetLine("A:x", 0.08, "A", "t", 9.0), BudgetLine("smu:gain", -0.06, "B", "rectangular"))
    return KpiRecord("power.mean", "p", value, "W", u, 1.8, 2.2, 9, Provenance.MEASURED, "m", ("c",), budget)


def _analyse(store: Path, capsys: pytest.CaptureFixture[str], *more: object) -> Answer:
    return Commands(capsys, analyse)("analyse", "latest", "--store", store, *more)


def _change(store: Path, **changes: object) -> None:
    """Alter one stored figure."""
    with Catalogue.open(store) as catalogue:
        run_id = catalogue.runs.get("latest").id
        stored = catalogue.kpis.of(run_id)
        at = next(k for k, r in enumerate(stored) if r.value and r.u)
        stored[at] = replace(stored[at], **changes)  # type: ignore[arg-type]
        catalogue.kpis.put(run_id, stored)


def test_an_analysis_repeats_bit_for_bit_on_the_machine_that_made_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path)
    answer = _analyse(tmp_path, capsys)
    assert answer.code == 0
    assert "bit for bit" in answer.out
    assert "holds: all" in answer.out


def test_a_figure_that_moved_by_one_bit_fails_the_exact_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        stored = catalogue.kpis.of(catalogue.runs.get("latest").id)
    moved = next(r for r in stored if r.value and r.u)
    _change(tmp_path, value=math.nextafter(moved.value or 0.0, math.inf))
    answer = _analyse(tmp_path, capsys)
    assert answer.code == 1
    assert "does not hold: 1 of" in answer.out
    assert f"{moved.id} at {moved.at}: value was" in answer.out


def test_a_result_is_stored_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path)
    _change(tmp_path, value=99.0)
    assert _analyse(tmp_path, capsys).code == 1
    assert _analyse(tmp_path, capsys, "--store-result").code == 1
    assert _analyse(tmp_path, capsys).code == 0


def test_an_interrupted_run_gets_its_figures_this_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = captures(rates=(10.0,))
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(new_run(), [m.planned for m in made], now_ns=NOW_NS)
        for one in made[:3]:
            record(catalogue, run.id, one)
        catalogue.runs.end(run.id, RunState.INTERRUPTED, error="stopped")
    answer = _analyse(tmp_path, capsys, "--store-result")
    assert answer.code == 0
    assert "no figures were stored" in answer.out
    with Catalogue.open_read_only(tmp_path) as catalogue:
        assert catalogue.kpis.of(run.id)


def test_a_running_run_is_not_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = captures(rates=())
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(new_run(), [m.planned for m in made], now_ns=NOW_NS)
        record(catalogue, run.id, made[0])
    answer = _analyse(tmp_path, capsys, "--store-result")
    assert answer.code == 8
    assert "still running" in answer.error


def test_the_rule_is_exact_on_a_like_machine_and_names_what_differs_elsewhere() -> None:
    assert rule(HERE, HERE) == Rule(True)
    other = ({**HERE[0], "simd": ["NEON"]}, {**HERE[1], "numpy": "1"})
    found = rule(HERE, other)
    assert not found.exact
    assert str(found) == "another simd, numpy 1 (was 2): within 1e-06 of the stated u"


def test_fetching_packages_and_the_kernel_do_not_change_the_rule() -> None:
    other = ({**HERE[0], "system": "Linux 7"}, {**HERE[1], "pyvisa": "9"})
    assert rule(HERE, other).exact


@given(st.floats(-2.0, 2.0))
def test_elsewhere_a_figure_may_move_by_a_millionth_of_its_u_and_no_more(share: float) -> None:
    stored = _kpi()
    moved = replace(stored, value=2.0 + share * 1e-6 * 0.1)
    agrees = difference(stored, moved, NEAR) == ""
    assert agrees == (abs((moved.value or 0.0) - 2.0) <= 1e-7)


def test_elsewhere_words_and_counts_must_be_the_same() -> None:
    stored = _kpi()
    assert "flags was" in difference(stored, replace(stored, flags=("drift",)), NEAR)
    assert "n was 9, is 8" in difference(stored, replace(stored, n=8), NEAR)
    assert "value was 2.0, is None" in difference(stored, replace(stored, value=None), NEAR)


def test_elsewhere_the_terms_of_a_budget_may_change_places_but_not_size() -> None:
    stored = _kpi()
    turned = replace(stored, budget=stored.budget[::-1])
    assert difference(stored, turned, NEAR) == ""
    assert difference(stored, turned, EXACT) != ""
    grown = replace(stored, budget=(replace(stored.budget[0], u=0.0801), stored.budget[1]))
    assert "budget was" in difference(stored, grown, NEAR)


def test_a_figure_without_u_must_agree_closely() -> None:
    stored = _kpi(u=None)
    assert difference(stored, replace(stored, value=2.0 * (1 + 1e-10)), NEAR) == ""
    assert difference(stored, replace(stored, value=2.0 * (1 + 1e-8)), NEAR) != ""


def test_figures_that_came_or_went_are_told() -> None:
    assert differences([_kpi(), _kpi()], [_kpi()], EXACT) == ["power.mean at p, occurrence 2: stored, not found again"]
    assert differences([], [_kpi()], EXACT) == ["power.mean at p: found now, not stored"]
