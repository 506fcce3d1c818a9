"""Starts of an RP2040 image, run cycle by cycle: what labd measures is what the emulated chip took."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labd_virtual.firmware_build import FirmwareError, build
from labd_virtual.rp2040 import RP2040, emulation
from tests.bench.whole_run import FIXTURES, Watch, changed, replaced, whole_run

pytestmark = pytest.mark.compiler

STARTS = 3


def test_a_start_takes_as_long_as_the_emulated_chip_took(tmp_path: Path) -> None:
    try:
        image = asyncio.run(build(FIXTURES.parent / "firmware", energy_mode=False, target=RP2040))
        asyncio.run(emulation(FIXTURES.parent / "firmware", image))
    except FirmwareError as error:
        if str(error).startswith(("no C compiler", "no node")):
            pytest.skip(str(error))
        raise
    plan = changed(
        tmp_path,
        "plans",
        "rp2040",
        replaced(
            ('modes = ["always_on", "event_sleep", "event_reload"]', 'modes = ["event_sleep"]'),
            ('"0 /s", "2 /s", "10 /s", "30 /s"', '"0 /s"'),
            ("events = 20 ", f'starts = {STARTS}\nstart_time = "100 ms"\nevents = 2 '),
            ('floor_time = "2 s"', 'floor_time = "100 ms"'),
            ("event_captures = 12", "event_captures = 2"),
        ),
    )
    run = whole_run(tmp_path, changed(tmp_path, "benches", "virtual-rp2040", str), plan, Watch(tmp_path / "truth.jsonl"), within_s=200)
    assert not run.outcome.failed
    truth = [(one["ready_ns"] - one["supplied_ns"]) * 1e-9 for one in run.watch.records("start")]
    assert len(truth) == 1 + STARTS  # the run's own, and those of its capture
    (found,) = (record for record in run.outcome.records if record.id == "start_time")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= sum(truth) / len(truth) <= found.high
    assert found.value == pytest.approx(sum(truth) / len(truth), abs=204.8e-6)  # a record of the log
