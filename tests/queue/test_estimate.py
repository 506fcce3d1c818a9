"""How long a plan will take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from labd.queue.estimate import OPENING_S, SET_UP_S, Planned, costs_s, estimate_s
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from tests.analyse.stored_run import copy_of_a_run

PLANS = (Planned("floor", 60.0), Planned("rate", 5.0))


def test_without_history_a_capture_takes_its_length_and_its_set_up() -> None:
    assert estimate_s(PLANS, {}, stepped=False) == OPENING_S + 65.0 + 2 * SET_UP_S


def test_in_stepped_time_its_length_tells_nothing() -> None:
    assert estimate_s(PLANS, {}, stepped=True) == OPENING_S + 2 * SET_UP_S


def test_a_run_that_measures_until_it_knows_enough_takes_its_time_at_most_and_its_first_round_tells_nothing() -> None:
    assert estimate_s(PLANS, {"floor": 61.5}, stepped=False, most_s=1200.0) == OPENING_S + 1200.0
    assert estimate_s(PLANS, {}, stepped=True, most_s=1200.0) == OPENING_S + 2 * SET_UP_S


def test_what_it_cost_before_is_better_than_both() -> None:
    assert estimate_s(PLANS, {"floor": 61.5}, stepped=False) == OPENING_S + 61.5 + 5.0 + SET_UP_S


def test_the_cost_of_a_capture_is_the_median_of_those_that_were_finished(tmp_path: Path) -> None:
    run = copy_of_a_run(tmp_path)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        row = catalogue.captures.of(run)[0]
    rows = [replace(row, started_ns=0, ended_ns=round(seconds * 1e9)) for seconds in (1.0, 2.0, 9.0)]
    failed = replace(row, started_ns=0, ended_ns=10**12, state=CaptureState.FAILED)
    assert costs_s([*rows, failed, replace(row, ended_ns=None)]) == {row.key: 2.0}
