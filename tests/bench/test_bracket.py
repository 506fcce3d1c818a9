"""A log without a line from the board: the runner has the board burn its signature, and the analysis finds the laps by it."""

from __future__ import annotations

import pytest

from labd.records import CaptureState, Role
from tests.bench.role_benches import alone, run_of
from tests.bench.whole_run import Whole

pytestmark = pytest.mark.compiler

POINT = "event_sleep/r=20/v=3/dnn"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The mainframe's log, which has no channel left for the board's marker."""
    return run_of(tmp_path_factory.mktemp("bracket"), alone("keysight_n6705c"), events="24", event_captures="0")


def test_the_board_burns_its_signature_where_the_log_has_no_line(whole: Whole) -> None:
    (mean,) = [row for row in whole.captures() if row.role is Role.MEAN]
    assert mean.state is CaptureState.FINISHED
    assert mean.acquisition["bracket"]["order"] == 6
    (opens, opened), (closes, closed) = mean.acquisition["signatures"]
    laps = mean.acquisition["laps"]
    assert opens < opened < laps[0][0]
    assert laps[-1][4] < closes < closed


def test_floors_are_measured_without_a_signature(whole: Whole) -> None:
    assert {tuple(row.acquisition["signatures"]) for row in whole.captures() if row.role is Role.FLOOR} == {()}


def test_the_inference_is_cut_out_of_the_burst_by_the_laps(whole: Whole) -> None:
    """Which the burst alone does not show: the board's own account of the load's energy in the inference."""
    true = [event["load_j"]["infer"] for event in whole.watch.records("event") if event["cause"] == "timer"]
    gross = whole.get("energy_per_inference.gross", POINT)
    assert gross.value is not None
    assert gross.u is not None
    assert abs(gross.value - sum(true) / len(true)) < 3 * gross.u
    assert gross.u < 0.01 * gross.value
    assert "laps placed by the current signature, u = " in gross.note


def test_the_board_s_latency_is_given_in_the_instrument_s_seconds(whole: Whole) -> None:
    true = [(event["end_ns"] - event["start_ns"]) * 1e-9 for event in whole.watch.records("event") if event["cause"] == "timer"]
    latency = whole.get("latency.dut_counter.mean", POINT)
    assert latency.value is not None
    assert latency.u is not None
    assert abs(latency.value - sum(true) / len(true)) < 3 * latency.u


def test_the_edges_of_the_bursts_agree_with_the_signatures(whole: Whole) -> None:
    apart = whole.get("timeline.edge_to_signature", POINT)
    assert apart.value is not None
    assert abs(apart.value) < 20e-6, "a tenth of a record"
