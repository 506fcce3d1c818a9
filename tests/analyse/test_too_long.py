"""A board file whose longest event is shorter than the board's events: who reads the run is told the file, the key and what is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from labd.analyse.report import report_of
from labd.analyse.run import analyse_run
from labd.analyse.tasks import figures_so_far
from labd.analyse.too_long import too_long
from labd.records import Mode
from labd.store.catalogue import Catalogue
from tests.analyse.stored_run import copy_of_a_run


def test_the_file_the_key_and_what_would_be_right_are_told_of_each_mode_s_single_events(tmp_path: Path) -> None:
    run_id = copy_of_a_run(tmp_path)
    with Catalogue.open(tmp_path) as catalogue:
        analysis = analyse_run(catalogue, run_id)
    assert too_long(analysis.run, analysis.captures, 28e-3) == ""

    one, two, *rest = (replace(capture, longer_than_bound_s=0.0) for capture in analysis.captures)
    sleep = replace(one, point=replace(one.point, mode=Mode.EVENT_SLEEP), longer_than_bound_s=14.1e-3)
    merged = replace(sleep, longer_than_bound_s=210e-3)  # many events at a high rate
    reload = replace(two, point=replace(two.point, mode=Mode.EVENT_RELOAD), longer_than_bound_s=20.4e-3)
    told = too_long(analysis.run, [merged, sleep, reload, *rest], 6e-3)
    assert ".toml: longest_event = 6 ms is too short: in 3 of" in told
    assert f"an event of event_reload up to 20.4 ms ({two.key})" in told
    assert 'write longest_event = "22 ms" or more' in told


def test_it_is_told_while_the_run_goes_on_and_in_its_report(tmp_path: Path) -> None:
    run_id = copy_of_a_run(tmp_path)
    with Catalogue.open(tmp_path) as catalogue:
        catalogue.runs._database.execute(
            "UPDATE runs SET plan_expanded = json_set(plan_expanded, '$.analysis.burst_bound_s', ?) WHERE id = ?",
            (1e-3, run_id),
        )
    assert "longest_event = 1 ms is too short" in figures_so_far(tmp_path, run_id).warning
    (notice,) = [one for one in report_of(tmp_path, run_id).notices if one.where == "board"]
    assert notice.severity == "warning"
    assert "longest_event = 1 ms is too short" in notice.text
