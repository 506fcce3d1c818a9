"""Starts from no supply to ready, held against the virtual board's own account."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.analyse.report import report_of
from labd.errors import FileError
from labd.records import KpiRecord, Role
from labd.report import text
from tests.bench.whole_run import FIXTURES, Watch, Whole, changed, replaced, whole_run

STARTS = 8
RECORD_S = 204.8e-6  # of a log with the marker line
AT = "event_sleep/r=0/v=3/dnn"

SHORT = replaced(
    ('modes = ["always_on", "event_sleep", "event_reload"]', 'modes = ["event_sleep"]'),
    ('rates = ["0 /s", "0.5 /s", "2 /s", "5 /s", "10 /s", "20 /s", "35 /s"]', 'rates = ["0 /s", "5 /s"]'),
    ("events = 60 ", f'starts = {STARTS}\nstart_time = "200 ms"\nevents = 6 '),
    ("event_captures = 30 ", "event_captures = 2 "),
    ('floor_time = "4 s"', 'floor_time = "200 ms"'),
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("starts")
    plan = changed(
        folder,
        "plans",
        "demo",
        SHORT,
    )
    return whole_run(folder, FIXTURES / "benches/demo.toml", plan, Watch(folder / "truth.jsonl"))


def within(record: KpiRecord, truth: float) -> None:
    assert record.low is not None
    assert record.high is not None
    assert record.low <= truth <= record.high


def of_capture(started: Whole) -> list[dict[str, float]]:
    """The board's account of the starts that were logged: those between others, which runs begin and go on with."""
    every = started.watch.records("start")
    lasts = len([row for row in started.captures() if row.role is Role.START])
    assert lasts == 1
    return every[-STARTS:] if len(every) == STARTS else every[1 : 1 + STARTS]


def test_a_start_takes_as_long_as_the_board_took(started: Whole) -> None:
    assert not started.outcome.failed
    truth = [(one["ready_ns"] - one["supplied_ns"]) * 1e-9 for one in of_capture(started)]
    found = started.get("start_time", AT)
    assert found.n == STARTS
    within(found, sum(truth) / STARTS)
    assert found.u is not None
    assert found.u < 1.1 * RECORD_S
    assert started.value("start_time", AT) == pytest.approx(sum(truth) / STARTS, abs=RECORD_S)


def test_its_energy_is_that_from_the_crossing_to_ready(started: Whole) -> None:
    truth = [one["energy_j"] for one in of_capture(started)]
    found = started.get("start_energy", AT)
    within(found, sum(truth) / STARTS)
    assert found.value == pytest.approx(sum(truth) / STARTS, rel=0.15)


def test_its_distribution_says_how_many_starts_a_quantile_needs(started: Whole) -> None:
    median, p95 = started.get("start_time.p50", AT), started.get("start_time.p95", AT)
    assert median.low is not None
    assert p95.value is None
    assert "needs n >= 59" in p95.flags


def test_each_start_begins_from_a_discharged_board(started: Whole) -> None:
    (row,) = (row for row in started.captures() if row.role is Role.START)
    stretches = started.trace(row.key).stretches
    assert len(stretches) == STARTS
    for stretch in stretches:
        assert stretch.voltage is not None
        assert stretch.voltage[:10].max() < 0.2  # the sense test's 0.1 V
        assert stretch.voltage[-10:].min() > 2.9


def test_the_board_never_saw_more_than_it_may(started: Whole) -> None:
    assert started.watch.board["worst_pin_v"] <= 3.6
    assert started.watch.board["worst_io_over_supply_v"] <= 0.3
    assert started.watch.board["resets"] == 0


def test_show_tells_of_starts_in_a_sentence(started: Whole) -> None:
    shown = " ".join(text.render(report_of(started.outcome.store, started.outcome.run_id)).split())
    assert "From the supply's reaching supply_min to ready (event-sleep, 0 /s): 2." in shown or "to ready (event-sleep, 0 /s): 3." in shown
    assert "p95 needs n >= 59" in shown


def test_stock_firmware_shows_no_ready(tmp_path: Path) -> None:
    plan = changed(
        tmp_path,
        "plans",
        "stock",
        lambda content: (
            content.replace("[captures]", "[captures]\nstarts = 3") if "[captures]" in content else content + "\n[captures]\nstarts = 3\n"
        ),
    )
    with pytest.raises(FileError, match=r"captures\.starts: expected 0"):
        whole_run(tmp_path, FIXTURES / "benches/virtual-stock.toml", plan)


def test_a_start_by_protocol_is_a_bound_of_its_own(tmp_path: Path) -> None:
    bench = changed(tmp_path, "benches", "demo", replaced(('time = "stepped" ', 'time = "real" ')))
    plan = changed(tmp_path, "plans", "demo", lambda content: SHORT(content).replace(f"starts = {STARTS}", "starts = 2"))
    run = whole_run(tmp_path, bench, plan, within_s=150.0)
    assert not run.outcome.failed
    found, electrical = run.get("start_time.host", AT), run.value("start_time", AT)
    assert found.value is not None
    assert found.value > electrical
    assert (found.u, found.low, found.high) == (None, None, None)
    assert found.method == "host clock"
    assert found.flags[0] == "upper bound"
