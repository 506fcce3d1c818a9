"""A sweep on a source-measure unit that cannot see rest and burst on one range: floor by readings, events by digitizing, composed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labd.analyse.report import report_of
from labd.errors import SafetyRefusal
from labd.kpi.composed import COMPOSED_OF_EVENTS
from labd.records import CaptureState, Mode, Provenance, Role
from tests.bench.whole_run import Watch, Whole, changed, replaced, whole_run

pytestmark = pytest.mark.compiler

MODES = ("always_on", "event_sleep", "event_reload")
RATES = (2.0, 20.0)
EVENTS = 8
REST_NS = 1_900_000_000
TAU_S = 22e-6  # 4.7 ohm into 4.7 uF


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("sweep")
    bench = changed(folder, "benches", "virtual-2461", str)
    plan = changed(
        folder,
        "plans",
        "demo",
        replaced(
            ('"0.5 /s", "2 /s", "5 /s", "10 /s", "20 /s", "35 /s"', '"2 /s", "20 /s"'),
            ('floor_time = "4 s"', 'floor_time = "2 s"'),
            ("event_captures = 30", f"event_captures = {EVENTS}"),
        ),
    )
    return whole_run(folder, bench, plan)


def test_every_capture_of_every_mode_is_made(whole: Whole) -> None:
    assert whole.outcome.failed == ()
    rows = whole.captures()
    assert {row.state for row in rows} == {CaptureState.FINISHED}
    assert sorted((str(row.point.mode), str(row.role)) for row in rows) == sorted(
        [(mode, role) for mode in MODES for role in ("event", "floor", "floor")]
    )
    assert whole.watch.board["boots"] == 1
    assert whole.watch.board["resets"] == 0
    assert whole.watch.board["worst_pin_v"] <= 3.6


def test_a_floor_is_read_on_the_low_range_only_where_waking_is_impossible(whole: Whole) -> None:
    ranges = {str(row.point.mode): row.acquisition["acquisition"]["current_range_a"] for row in whole.captures() if row.role is Role.FLOOR}
    assert ranges == {"always_on": 0.1, "event_sleep": 1e-4, "event_reload": 1e-4}


def test_floors_hold_the_truth(whole: Whole) -> None:
    rests = [r for r in whole.watch.records("rest") if r["end_ns"] - r["start_ns"] > REST_NS]
    true: dict[str, list[float]] = {}
    for rest in rests:
        true.setdefault(rest["phase"] + str(rest["state"]), []).append(rest["energy_j"] / (rest["end_ns"] - rest["start_ns"]) * 1e9)
    powers = sorted(float(np.mean(values)) for values in true.values())
    assert len(powers) == len(MODES)
    for mode, power in zip(("event_reload", "event_sleep", "always_on"), powers, strict=True):
        for record in whole.all("power.floor", f"{mode}/r=0/v=3/dnn"):
            assert record.u is not None
            assert record.value is not None
            assert abs(record.value - power) < 3 * record.u + 5e-3 * power  # the rest as a whole holds its entry too


@pytest.mark.parametrize("mode", MODES)
def test_power_at_a_rate_is_composed_and_says_so(whole: Whole, mode: str) -> None:
    slope = whole.get("fit.incremental_energy", mode)
    floor_w, slope_j = whole.value("fit.floor_power", mode), whole.value("fit.incremental_energy", mode)
    assert COMPOSED_OF_EVENTS in slope.flags
    assert slope.provenance is Provenance.COMPUTED
    assert slope.u is not None
    for rate in RATES:
        power = whole.get("power.mean", f"{mode}/r={rate:g}/v=3/dnn")
        assert power.value == pytest.approx(floor_w + rate * slope_j, rel=1e-9)
        assert power.provenance is Provenance.COMPUTED
        assert COMPOSED_OF_EVENTS in power.flags
        assert power.low is not None
        assert power.value is not None
        assert whole.value("energy_per_inference.at_rate", power.at) == pytest.approx(power.value / rate, rel=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_the_incremental_energy_holds_the_truth(whole: Whole, mode: str) -> None:
    slope = whole.get("fit.incremental_energy", mode)
    events = _events(whole, Mode(mode))
    true = [e["energy_j"] - e["rest"]["settled_power_w"] * (e["recovered_ns"] - e["from_ns"]) * 1e-9 for e in events]
    assert slope.u is not None
    assert abs(whole.value("fit.incremental_energy", mode) - np.mean(true)) < 3 * slope.u


def _events(whole: Whole, mode: Mode) -> list[dict[str, Any]]:
    """The board's account of the events that a mode's event capture kept: they are fired in the captures' order, one more each time."""
    order = [row.point.mode for row in sorted(whole.captures(), key=lambda r: r.order) if row.role is Role.EVENT]
    fired = [e for e in whole.watch.records("event") if e["cause"] == "trig"]
    assert len(fired) >= len(order) * EVENTS
    share = len(fired) // len(order)
    first = order.index(mode) * share
    return fired[first : first + EVENTS]


def test_the_event_lies_where_the_sample_axis_has_its_zero(whole: Whole) -> None:
    """The board's own account: the burst begins at the event and ends when it is asleep again."""
    events = _events(whole, Mode.EVENT_SLEEP)
    stretches = whole.trace("event_sleep/r=0/v=3/dnn/event/0").stretches
    assert len(stretches) == EVENTS
    for stretch, true in zip(stretches, events, strict=True):
        assert stretch.current is not None
        t = (stretch.t0_ns + stretch.dt_ns * np.arange(len(stretch.current))) * 1e-9
        active = np.flatnonzero(stretch.current > 0.2e-3)
        assert -stretch.dt_ns * 1e-9 <= t[active[0]] <= 5 * TAU_S
        asleep_s = (true["asleep_ns"] - true["event_ns"]) * 1e-9
        assert abs(t[active[-1]] - asleep_s) <= 8 * TAU_S


def test_the_run_says_that_the_coarse_protection_acts_above_the_limit(whole: Whole) -> None:
    (notice,) = (text for text in whole.notices() if "over-voltage protection" in text)
    assert "3.6 V" in notice
    assert "limits.voltage" in notice


def test_the_report_has_a_row_for_every_rate_and_the_notice(whole: Whole) -> None:
    report = report_of(whole.outcome.store, whole.outcome.run_id)
    assert [p.rate_hz for p in report.points if p.mode is Mode.ALWAYS_ON] == [0.0, *RATES]
    assert [len(curve.points) for curve in report.curves] == [2 + len(RATES)] * len(MODES)
    assert any("limits.voltage" in notice.text for notice in report.notices)


def test_an_open_sense_lead_is_found_below_what_starts_a_board_although_the_lowest_protection_step_is_2_v(tmp_path: Path) -> None:
    bench, plan = changed(tmp_path, "benches", "virtual-2461", str), changed(tmp_path, "plans", "demo", str)
    watch = Watch(tmp_path / "truth.jsonl", open_lead="smu")
    with pytest.raises(SafetyRefusal, match="remote-sense test failed"):
        whole_run(tmp_path, bench, plan, watch)
    assert 0.1 < watch.board["worst_pin_v"] < 2.2
    assert watch.board["boots"] == 0
