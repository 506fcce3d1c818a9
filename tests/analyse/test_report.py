"""A stored run becomes a report: every figure, the fits, the plots' data, the notices; for whole, failed and interrupted runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from labd.analyse.curves import Figures
from labd.analyse.report import bent, build, problems, report_of
from labd.analyse.run import analyse_run
from labd.errors import NotFound
from labd.kpi.inputs import Detector
from labd.records import CaptureState, Mode, Phase, Role
from labd.report import csv, html, json, markdown, text
from labd.report.data import Outcome, RunReport
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.store.rows import RunState
from tests.analyse.stored_run import DUTS, EVENTS, NOW_NS, RATES, TRIGGERED, captures, copy_of_a_run, new_run, record


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    copy_of_a_run(folder, small=False)
    return folder


@pytest.fixture(scope="module")
def report(store: Path) -> RunReport:
    return report_of(store, "latest")


def test_every_stored_figure_is_in_the_report_once(store: Path, report: RunReport) -> None:
    with Catalogue.open_read_only(store) as catalogue:
        stored = catalogue.kpis.of(report.run.run_id)
    shown = [*report.kpis, *(item.record for item in report.break_evens)]
    assert len(shown) == len(stored)
    assert len({(r.id, r.at) for r in shown}) == len(shown)
    assert sorted((r.id, r.value or 0.0) for r in shown) == sorted((r.id, r.value or 0.0) for r in stored)


def test_floor_and_slope_of_each_mode_hold_the_known_power(report: RunReport) -> None:
    assert [c.mode for c in report.curves] == list(DUTS)
    for curve in report.curves:
        dut, fit = DUTS[curve.mode], curve.fit
        assert fit is not None
        floor_w = dut.volt * dut.rest_a
        slope_j = dut.mean_w(1.0) - floor_w
        for found, truth in ((fit.floor, floor_w), (fit.incremental, slope_j)):
            assert found.low is not None
            assert found.high is not None
            assert found.low <= truth <= found.high
            assert found.value == pytest.approx(truth, rel=0.02)


def test_the_band_of_a_fit_knows_what_its_two_figures_share(report: RunReport) -> None:
    for curve in report.curves:
        assert curve.fit is not None
        u = (curve.fit.floor.u or 0.0) * (curve.fit.incremental.u or 0.0)
        assert 0 < abs(curve.fit.covariance_wj) <= u * (1 + 1e-9)
        assert 1.5 < curve.fit.coverage_factor < 3.5
        assert (curve.fit.rate_low_hz, curve.fit.rate_high_hz) == pytest.approx((RATES[0], RATES[-1]), rel=1e-3)
        assert curve.r_max_hz == pytest.approx(1 / DUTS[curve.mode].on_s, rel=0.02)


def test_a_curve_has_its_floors_at_rate_zero_and_the_achieved_rates(report: RunReport) -> None:
    for curve in report.curves:
        assert [p.rate_hz for p in curve.points[:2]] == [0.0, 0.0]
        assert [p.rate_hz for p in curve.points[2:]] == pytest.approx(list(RATES), rel=1e-3)
        for dot in curve.points:
            assert dot.power.value == pytest.approx(DUTS[curve.mode].mean_w(dot.rate_hz), rel=0.02)


def test_a_repeated_floor_stands_at_its_capture_and_hides_none(report: RunReport) -> None:
    floors = [r for r in report.kpis if r.id == "power.floor" and "event_sleep" in r.at]
    assert [r.at for r in floors] == ["event_sleep/r=0/v=3/dnn", "event_sleep/r=0/v=3/dnn/floor/1"]
    assert floors[0].captures == ("event_sleep/r=0/v=3/dnn/floor/0",)


def test_break_evens_name_the_mode_that_needs_less_below_the_rate_first(report: RunReport) -> None:
    found = {(item.first, item.second): item for item in report.break_evens}
    assert set(found) == {("event_sleep", "always_on"), ("event_reload", "always_on"), ("event_reload", "event_sleep")}
    for (first, second), item in found.items():
        a, b = DUTS[Mode(first)], DUTS[Mode(second)]
        rate = (b.mean_w(0) - a.mean_w(0)) / ((a.mean_w(1) - a.mean_w(0)) - (b.mean_w(1) - b.mean_w(0)))
        assert item.outcome is Outcome.CROSSES
        assert item.record.low is not None
        assert item.record.high is not None
        assert item.record.low <= rate <= item.record.high
        assert item.extrapolated == (rate > RATES[-1])
        assert a.mean_w(rate / 2) < b.mean_w(rate / 2)


def test_each_mode_shows_one_period_at_ten_a_second(report: RunReport) -> None:
    assert [e.mode for e in report.excerpts] == list(DUTS)
    for item in report.excerpts:
        assert item.point == f"{item.mode}/r=10/v=3/dnn"
        assert item.t_s[-1] - item.t_s[0] == pytest.approx(0.1, rel=0.01)
        assert len(item.t_s) == len(item.low_w) == len(item.mean_w) == len(item.high_w) <= 2000
        assert all(low <= mean <= high for low, mean, high in zip(item.low_w, item.mean_w, item.high_w, strict=True))


def test_the_phases_of_an_excerpt_lie_where_its_power_is(report: RunReport) -> None:
    for item in report.excerpts:
        dut = DUTS[item.mode]
        infer = next(s for s in item.spans if s.phase is Phase.INFER)
        inside = [p for t, p in zip(item.t_s, item.mean_w, strict=True) if infer.start_s + 1e-3 < t < infer.end_s - 1e-3]
        assert sum(inside) / len(inside) == pytest.approx(dut.volt * dut.infer_a, rel=0.03)
        assert infer.end_s - infer.start_s == pytest.approx(dut.infer_s, abs=2e-4)
        assert item.spans[0].phase is item.spans[-1].phase is (Phase.SLEEP if item.mode.is_event else Phase.IDLE)
        ends = [s.start_s for s in item.spans[1:]]
        assert ends == [s.end_s for s in item.spans[:-1]]  # no gap, no overlap


def test_the_marker_of_an_excerpt_is_high_during_the_inference(report: RunReport) -> None:
    for item in report.excerpts:
        infer = next(s for s in item.spans if s.phase is Phase.INFER)
        assert [level for _, level in item.marker] == [0, 1, 0]
        assert item.marker[1][0] == pytest.approx(infer.start_s, abs=3e-4)
        assert item.marker[2][0] == pytest.approx(infer.end_s, abs=3e-4)


def test_series_hold_one_value_an_inference(report: RunReport) -> None:
    place = {p.key: p for p in report.points}
    assert {s.quantity for s in report.series} >= {"energy_per_inference.gross", "latency.pin"}
    for item in report.series:
        assert len(item.values) == (EVENTS if place[item.point].rate_hz else TRIGGERED)
        assert item.unit == ("s" if item.quantity.startswith("latency") else "J")
        assert all(map(math.isfinite, item.values))


def test_phase_energies_come_from_the_triggered_captures_and_add_up(report: RunReport) -> None:
    for mode in (Mode.EVENT_SLEEP, Mode.EVENT_RELOAD):
        own = [e for e in report.phase_energies if e.curve == mode]
        assert [e.phase for e in own] == [p for p in (Phase.WAKE, Phase.LOAD, Phase.INFER, Phase.TAIL) if p in {e.phase for e in own}]
        assert {e.energy.at for e in own} == {f"{mode}/r=0/v=3/dnn"}
        assert sum(e.energy.value or 0.0 for e in own) == pytest.approx(DUTS[mode].burst_j, rel=0.02)


def test_instruments_are_told_with_ranges_used_and_where_their_accuracy_comes_from(report: RunReport) -> None:
    smu = report.bench.instruments[0]
    assert (smu.maker, smu.model, smu.virtual, smu.sense) == ("Keysight Technologies", "N6705C", True, "4-wire")
    assert smu.ranges == ("10 µA", "1 mA", "100 mA", "20 V")
    assert [row.source for row in smu.accuracy] == ["certificate 7, page 2"] * 3 + ["certificate 7, page 3", "certificate 7, page 5"]
    assert (smu.accuracy[2].gain, smu.accuracy[2].offset) == ("0.025 %", "80 µA")
    assert [row.aperture for row in smu.accuracy] == ["any"] * 4 + ["—"]
    assert smu.lead_resistance == "30 ± 5 mΩ"


def test_conditions_and_board_read_as_a_person_writes_them(report: RunReport) -> None:
    assert (report.conditions.ambient, report.conditions.mains) == ("23 °C ± 1 K", "50 Hz")
    assert report.conditions.warm_up == "smu 2 h (60 min asked)"
    assert (report.board.supply, report.board.clock) == ("3 V", "64 MHz")
    assert report.board.inside[0] == "decoupling 4.7 ± 0.47 µF"
    assert report.plan.facts["battery: self discharge"] == "1 %/year"
    assert report.bench.limits["current"] == "150 mA"


def test_what_nobody_told_is_printed_as_not_disclosed(report: RunReport) -> None:
    told = {item.item: item.text for item in report.disclosure}
    assert told["Process node"] == told["Compiler or converter, version and options"] == "not disclosed"
    assert told["Embedded non-volatile memory: kind, qualified by the foundry; parameters in it"] == "not disclosed"
    assert "virtual" in told["Silicon measured, or simulated figures"]


def test_a_run_is_repeated_by_the_commands_it_prints(report: RunReport) -> None:
    assert report.run.commands == ("labd run 'benches/my demo.toml' plans/demo.toml", f"labd analyse {report.run.run_id}")
    assert set(report.run.hashes) == {"bench", "board", "plan", "firmware"}


@pytest.mark.parametrize("render", [text.render, html.render, markdown.render, csv.render])
def test_every_renderer_takes_the_report_of_a_stored_run(report: RunReport, render: Callable[[RunReport], str]) -> None:
    assert "event" in render(report)


def test_the_json_of_a_stored_run_follows_the_published_schema(report: RunReport) -> None:
    jsonschema.validate(json.document(report), json.schema())


def test_the_html_says_that_the_bench_is_simulated(report: RunReport) -> None:
    assert any(n.where == "smu" and "virtual" in n.text for n in report.notices)
    assert "Simulated bench: smu" in html.render(report)


def test_the_report_notes_that_a_log_is_not_zeroed_and_flags_no_figure_for_it(report: RunReport) -> None:
    assert any(n.severity == "info" and n.where == "smu" and "not zeroed by labd" in n.text for n in report.notices)
    assert not any("zero" in flag for r in report.kpis for flag in r.flags)


def test_an_unknown_run_is_named_in_the_error(store: Path) -> None:
    with pytest.raises(NotFound, match="nothing-like-it"):
        report_of(store, "nothing-like-it")


def _partial(folder: Path, *, finished: int, state: RunState, error: str) -> RunReport:
    """A run of which only the first captures were made, the next one failed, and no figures were stored."""
    with Catalogue.open(folder) as catalogue:
        made = captures(rates=(10.0,))
        run = catalogue.runs.create(new_run(), [m.planned for m in made], now_ns=NOW_NS)
        for one in made[:finished]:
            record(catalogue, run.id, one)
        catalogue.captures.begin(run.id, made[finished].planned.key)
        catalogue.captures.fail(run.id, made[finished].planned.key, error)
        catalogue.runs.end(run.id, state, error=error)
    return report_of(folder, run.id)


def _rendered(report: RunReport) -> str:
    jsonschema.validate(json.document(report), json.schema())
    markdown.render(report)
    text.render(report)
    return html.render(report)


def test_an_interrupted_run_reports_the_captures_it_has(tmp_path: Path) -> None:
    report = _partial(tmp_path, finished=3, state=RunState.INTERRUPTED, error="stopped by a signal")
    assert not report.run.complete
    assert [c.state for c in report.captures].count(CaptureState.FINISHED) == 3
    assert report.find("always_on/r=10/v=3/dnn", "energy_per_inference.gross") is not None
    assert [c.fit is not None for c in report.curves] == [True, False, False]
    assert any(n.severity == "error" and "stopped by a signal" in n.text for n in report.notices)
    assert any("captures were not made" in n.text for n in report.notices)
    assert "This run is not complete" in _rendered(report)


def test_a_run_without_any_finished_capture_still_has_a_report(tmp_path: Path) -> None:
    report = _partial(tmp_path, finished=0, state=RunState.FAILED, error="the board does not answer")
    assert report.kpis == ()
    assert report.excerpts == ()
    assert "the board does not answer" in _rendered(report)


def test_a_run_that_failed_before_its_instruments_opened_has_a_report(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(replace(new_run(), instruments={}), [m.planned for m in captures(rates=())], now_ns=NOW_NS)
        catalogue.runs.end(run.id, RunState.FAILED, error="no instrument at TCPIP::192.0.2.1")
    report = report_of(tmp_path, run.id)
    assert report.bench.instruments[0].driver == "keysight_n6705c"
    assert any("192.0.2.1" in n.text for n in report.notices)
    _rendered(report)


def test_a_run_that_stored_nothing_but_its_name_has_a_report(tmp_path: Path) -> None:
    bare = replace(new_run(), instruments={}, bench_effective={}, plan_expanded={}, environment={}, versions={})
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(bare, [], now_ns=NOW_NS)
        catalogue.runs.end(run.id, RunState.FAILED, error="early")
    _rendered(report_of(tmp_path, run.id))


def test_stored_figures_outlive_their_traces(tmp_path: Path) -> None:
    run_id = copy_of_a_run(tmp_path)
    for trace in (tmp_path / "traces").rglob("*.parquet"):
        trace.unlink()
    report = report_of(tmp_path, run_id)
    assert report.find("event_sleep/r=10/v=3/dnn", "power.mean") is not None
    assert all(c.fit is not None for c in report.curves)
    assert report.excerpts == ()
    assert any(n.where == "traces" for n in report.notices)
    _rendered(report)


def test_a_declared_detector_is_told_and_counts_for_the_order_of_a_break_even(store: Path) -> None:
    setup_of_detector = Detector("declared", 2e-6, 1e-6, 0.01, 0.0)
    with Catalogue.open_read_only(store) as catalogue:
        run = catalogue.runs.get("latest")
        analysis = analyse_run(catalogue, run.id)
        stored = catalogue.kpis.of(run.id)
        rows = catalogue.captures.of(run.id)
    setup = replace(analysis.setup, detector=setup_of_detector)
    changed = replace(run, plan_expanded={**run.plan_expanded, "analysis": to_json(setup)})
    report = build(changed, rows, stored, analysis=analysis)
    power = report.detector.power
    assert report.detector.kind == "declared"
    assert power is not None
    assert (power.low, power.high) == pytest.approx((2e-6 - 0.95e-6, 2e-6 + 0.95e-6))
    assert "2.00 ± 0.95 µW" in html.render(report)


def test_problems_of_a_capture_become_notices_at_that_capture(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        made = [m for m in captures(rates=(10.0,)) if m.planned.role is not Role.EVENT and m.planned.point.mode is Mode.EVENT_SLEEP]
        planned = [replace(m, planned=replace(m.planned, plan={**m.planned.plan, "events": 7 if m.events else 0})) for m in made]
        run = catalogue.runs.create(new_run(), [m.planned for m in planned], now_ns=NOW_NS)
        for one in planned:
            record(catalogue, run.id, one)
        catalogue.runs.end(run.id, RunState.FINISHED)
    report = report_of(tmp_path, run.id)
    told = [n for n in report.notices if n.where == "event_sleep/r=10/v=3/dnn/mean/0"]
    assert told
    assert "7" in told[0].text


def test_a_mode_that_is_not_on_a_straight_line_is_told(store: Path) -> None:
    with Catalogue.open_read_only(store) as catalogue:
        run = catalogue.runs.get("latest")
        stored = catalogue.kpis.of(run.id)
    assert bent(Figures.of(stored)) == []
    flagged = [replace(r, flags=("not linear",)) if (r.id, r.at) == ("fit.floor_power", "event_sleep") else r for r in stored]
    told = build(run, [], flagged, analysis=None).notices
    assert [n.where for n in told if "straight line" in n.text and "chi²/dof" in n.text] == ["event_sleep"]


def test_what_is_odd_in_many_captures_is_said_once(store: Path) -> None:
    with Catalogue.open_read_only(store) as catalogue:
        results = analyse_run(catalogue, "latest").captures
    odd = [replace(r, problems=("a burst without a mark",)) for r in results[:5]] + [replace(results[5], problems=("hum",))]
    first, second = problems(odd)
    assert first.where == "5 captures"
    assert first.text.startswith(f"a burst without a mark ({results[0].key}, ")
    assert first.text.endswith(" ...)")
    assert (second.where, second.text) == (results[5].key, "hum")
