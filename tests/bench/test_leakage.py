"""What flows past the board at its supply is read by the meter and not by the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.whole_run import changed, replaced, whole_run

pytestmark = pytest.mark.compiler

REST_NS = 900_000_000


@pytest.mark.parametrize("leakage_na", [20, 400])
def test_a_floor_agrees_with_the_board_although_the_fixture_leaks(tmp_path: Path, leakage_na: int) -> None:
    bench = changed(tmp_path, "benches", "demo", replaced(('"0 nA +- 1 nA"', f'"{leakage_na} nA +- 1 nA"')))
    plan = changed(
        tmp_path,
        "plans",
        "demo",
        replaced(
            ('"0 /s", "0.5 /s", "2 /s", "5 /s", "10 /s", "20 /s", "35 /s"', '"0 /s", "20 /s"'),
            ('"always_on", "event_sleep", "event_reload"', '"event_reload"'),
            ('floor_time = "4 s"', 'floor_time = "1 s"'),
        ),
    )
    whole = whole_run(tmp_path, bench, plan)
    rests = [r for r in whole.watch.records("rest") if r["end_ns"] - r["start_ns"] > REST_NS]
    true = sum(r["settled_power_w"] for r in rests) / len(rests)
    floors = whole.all("power.floor", "event_reload/r=0/v=3/dnn")
    assert floors
    for floor in floors:
        assert floor.low is not None
        assert floor.high is not None
        assert floor.value is not None
        assert abs(floor.value - true) < (floor.high - floor.low) / 2 + 1e-3 * true  # the rest as a whole holds its entry too
        assert any(line.name == "smu:leakage" for line in floor.budget)
