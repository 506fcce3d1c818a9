"""`labd compare`: what stands beside what, what is refused, and what a program gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labd.cards.comparison import FairComparison
from labd.cli import compare
from labd.store.jsonform import from_json
from tests.cards.fair_runs import first, second, store, with_bench, with_card
from tests.cli.local_app import Commands


@pytest.fixture
def labd(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys, compare)


def test_a_fair_pair_stands_side_by_side_with_its_intervals_and_who_is_better(labd: Commands, tmp_path: Path) -> None:
    runs = [store(tmp_path, first()), store(tmp_path, second(), hours=1)]
    told = labd("compare", *runs, "--store", tmp_path)
    assert (told.code, told.error) == (0, "")
    assert told.out.startswith("Like with like: no rule refuses or flags anything.")
    assert all(run in told.out for run in runs)
    gross = next(line for line in told.out.partition("Always-on at 10 /s")[2].splitlines() if "gross" in line)
    assert gross.count("±") == 3
    assert "B − A: −" in gross
    assert "(7216 B, declared)" in told.out
    assert "\nrefuse" not in told.out
    more = labd("compare", *runs, "--store", tmp_path, "--all", "--md").out
    assert "| Charge" in more
    assert "Charge" not in told.out


def test_what_a_rule_refuses_is_printed_nowhere_and_the_rule_is(labd: Commands, tmp_path: Path) -> None:
    hot = with_bench("bench.ambient.value", 40.0)(second())
    runs = [store(tmp_path, first()), store(tmp_path, hot, hours=1)]
    told = labd("compare", *runs, "--store", tmp_path)
    assert told.code == 0
    gross = next(line for line in told.out.splitlines() if "Energy per inference, gross" in line)
    assert gross.count("refused: C18") == 2
    assert "J" not in gross.partition("gross")[2]
    assert "refuse C18 Same conditions (A, B): temperature: A 23 °C ± 1 K; B 40 °C ± 1 K" in told.out
    assert "leakage doubles" in told.out


def test_where_nothing_may_be_compared_no_figure_is_printed_and_a_script_sees_it(labd: Commands, tmp_path: Path) -> None:
    other = with_card("use_case.name", "object detection")(second())
    runs = [store(tmp_path, first()), store(tmp_path, other, hours=1)]
    told = labd("compare", *runs, "--store", tmp_path)
    assert told.code == 1
    assert told.out.startswith("Not comparable")
    assert "±" not in told.out.partition("refuse C01")[0]
    data = labd("compare", *runs, "--store", tmp_path, "--json")
    assert data.code == 1
    found = from_json(FairComparison, json.loads(data.out))
    assert found.verdict == "refused"
    assert [cell for row in found.rows for cell in row.shown] == []


def test_one_side_alone_and_a_run_that_is_not_there_are_told(labd: Commands, tmp_path: Path) -> None:
    run = store(tmp_path, first())
    alone = labd("compare", run, "--store", tmp_path)
    assert alone.code == 2
    assert "there is one: dnn at 3 V" in alone.error
    assert "name another run as well (`labd runs` lists them)" in alone.error
    assert labd("compare", run, "nowhere", "--store", tmp_path).code == 9


def test_a_supply_is_told_with_its_unit_or_in_volts(labd: Commands, tmp_path: Path) -> None:
    runs = [store(tmp_path, first()), store(tmp_path, second(), hours=1)]
    for text in ("3", "3.0", "3 V", "3000mV"):
        assert labd("compare", *runs, "--store", tmp_path, "--supply", text).code == 0
    other = labd("compare", *runs, "--store", tmp_path, "--supply", "1800 mV")
    assert (other.code, "(1.8 V) leaves none" in other.error) == (2, True)
    wrong = labd("compare", *runs, "--store", tmp_path, "--supply", "3 A")
    assert wrong.code == 2
    assert "--supply" in wrong.error
    assert 'a voltage such as "3.3 V"' in wrong.error
