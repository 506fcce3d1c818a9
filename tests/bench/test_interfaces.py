"""A whole run is the same whichever interface of the network its instruments are reached by."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.records import CaptureState, Role
from labd_virtual.persona import SERVERS
from labd_virtual.wire import Interface
from tests.bench.whole_run import Watch, changed, replaced, whole_run

pytestmark = pytest.mark.compiler

PLAN = replaced(
    ('"0 /s", "0.5 /s", "2 /s", "5 /s", "10 /s", "20 /s", "35 /s"', '"0 /s", "20 /s"'),
    ('"always_on", "event_sleep", "event_reload"', '"event_sleep"'),
    ('floor_time = "4 s"', 'floor_time = "500 ms"\ncross_check_time = "2 s"'),
)
DRIVERS = {"demo": {"keysight_n6705c"}, "virtual-2461": {"keithley_2450"}, "virtual-cross-check": {"keysight_n6705c", "yokogawa_wt310e"}}


@pytest.mark.parametrize("bench", DRIVERS)
@pytest.mark.parametrize("interface", SERVERS)
def test_two_points_are_measured(tmp_path: Path, bench: str, interface: Interface) -> None:
    file = changed(tmp_path, "benches", bench, str)
    assert {line.split('"')[1] for line in file.read_text().splitlines() if line.startswith("driver = ")} == DRIVERS[bench]
    whole = whole_run(tmp_path, file, changed(tmp_path, "plans", "demo", PLAN), Watch(tmp_path / "truth.jsonl", interface=interface))
    assert whole.outcome.failed == ()
    assert {row.state for row in whole.captures()} == {CaptureState.FINISHED}
    assert {row.role for row in whole.captures()} >= {Role.FLOOR, Role.EVENT}
    assert (whole.watch.board["boots"], whole.watch.board["resets"]) == (1, 0)
    assert whole.watch.board["worst_pin_v"] <= 3.6
    measured = {record.id for record in whole.outcome.records if record.value is not None and record.value > 0}
    assert "power.floor" in measured
    assert any(name.startswith("energy_per_inference") for name in measured)
