"""A sweep on an RP2040 image, run cycle by cycle: whole runs in every mode, held against the emulator's own pin log."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from benchmarks.wakeup.pin_log import PinEvent, PinLog, mean_durations_s
from labd_virtual.firmware_build import FirmwareError, build
from labd_virtual.rp2040 import RP2040, emulation
from tests.bench.whole_run import FIXTURES, Watch, Whole, changed, replaced, whole_run

pytestmark = pytest.mark.compiler

EVENT_MODES = ("event_sleep", "event_reload")
MODES = ("always_on", *EVENT_MODES)
EVENTS, INFERENCES, RATE = 8, 12, 20.0
ROUNDED_NS = 2
POINT = f"r={RATE:g}/v=3.3/snn"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    try:
        image = asyncio.run(build(FIXTURES.parent / "firmware", energy_mode=False, target=RP2040))
        asyncio.run(emulation(FIXTURES.parent / "firmware", image))
    except FirmwareError as error:
        if str(error).startswith(("no C compiler", "no node")):
            pytest.skip(str(error))
        raise
    folder = tmp_path_factory.mktemp("rp2040")
    bench = changed(folder, "benches", "virtual-rp2040", str)
    plan = changed(
        folder,
        "plans",
        "rp2040",
        replaced(
            ('"2 /s", "10 /s", "30 /s"', f'"{RATE:g} /s"'),
            ('models = ["dnn"]', 'models = ["snn"]'),
            ("events = 20 ", f"events = {INFERENCES} "),
            ('floor_time = "2 s"', 'floor_time = "1 s"'),
            ("event_captures = 12", f"event_captures = {EVENTS}"),
        ),
    )
    watch = Watch(folder / "truth.jsonl", pin_log=folder / "pins.log")
    return whole_run(folder, bench, plan, watch, within_s=300)


def pin_events(whole: Whole) -> list[PinEvent]:
    """Of all triggered events of the run, in their order."""
    assert whole.watch.pin_log is not None
    log = PinLog(whole.watch.pin_log)
    try:
        return list(log.read().events)
    finally:
        log.close()


def of_mode(whole: Whole, mode: str) -> list[PinEvent]:
    """The captures fire their events in the order they are made, all as many."""
    order = [str(row.point.mode) for row in sorted(whole.captures(), key=lambda row: row.order) if str(row.role) == "event"]
    every = pin_events(whole)
    share = len(every) // len(order)
    assert share >= EVENTS
    return every[order.index(mode) * share : (order.index(mode) + 1) * share]


def test_every_capture_of_every_mode_is_made_on_one_boot(whole: Whole) -> None:
    assert whole.outcome.failed == ()
    assert {str(row.point.mode) for row in whole.captures()} == set(MODES)
    assert (whole.watch.board["boots"], whole.watch.board["resets"], whole.watch.board["crashed"]) == (1, 0, "")


@pytest.mark.parametrize("mode", MODES)
def test_an_inference_takes_what_its_instructions_take(whole: Whole, mode: str) -> None:
    """Neither the pins' instants nor labd's know the other."""
    record = whole.get("latency.pin.mean", f"{mode}/{POINT}")
    (pinned,) = {event.end - event.start for event in pin_events(whole)}
    assert record.value is not None
    assert record.u is not None
    assert record.value == pytest.approx(pinned * 1e-9, abs=3 * record.u)
    assert 2e-3 < record.value < 6e-3


@pytest.mark.parametrize("mode", EVENT_MODES)
@pytest.mark.parametrize("kpi", ["wake_up.wake", "wake_up.load", "wake_up.total"])
def test_wake_up_is_what_the_pin_log_says(whole: Whole, mode: str, kpi: str) -> None:
    record = whole.get(kpi, f"{mode}/r=0/v=3.3/snn")
    assert record.value is not None
    assert record.u is not None
    assert record.value == pytest.approx(mean_durations_s(of_mode(whole, mode))[kpi], abs=3 * record.u)
    assert record.u < 20e-6


def test_a_reload_takes_the_load_s_time(whole: Whole) -> None:
    retained, reloaded = (whole.value("wake_up.load", f"{mode}/r=0/v=3.3/snn") for mode in EVENT_MODES)
    assert reloaded - retained > 4e-3


def test_the_bench_s_truth_and_the_pin_log_are_of_one_clock(whole: Whole) -> None:
    """The board's own account in bench time, the emulator's in the chip's: its frequency error is all that is between them."""
    rate = 1 + whole.watch.board["clock_error"]
    true = [e for e in whole.watch.records("event") if e["cause"] == "trig"]
    pins = pin_events(whole)
    assert len(true) == len(pins) >= 2 * EVENTS
    for event, pin in zip(true, pins, strict=True):
        assert event["event_ns"] * rate == pytest.approx(pin.trigger, abs=ROUNDED_NS)
        assert event["start_ns"] * rate == pytest.approx(pin.start, abs=ROUNDED_NS)
        assert event["end_ns"] * rate == pytest.approx(pin.end, abs=ROUNDED_NS)


@pytest.mark.parametrize("mode", EVENT_MODES)
def test_the_energy_of_an_event_holds_the_truth(whole: Whole, mode: str) -> None:
    record = whole.get("energy_per_inference.net_of_sleep", f"{mode}/r=0/v=3.3/snn")
    order = [str(row.point.mode) for row in sorted(whole.captures(), key=lambda row: row.order) if str(row.role) == "event"]
    fired = [e for e in whole.watch.records("event") if e["cause"] == "trig"]
    share = len(fired) // len(order)
    own = fired[order.index(mode) * share : (order.index(mode) + 1) * share]
    true = [e["energy_j"] - e["rest"]["settled_power_w"] * (e["recovered_ns"] - e["from_ns"]) * 1e-9 for e in own]
    assert record.value is not None
    assert record.u is not None
    assert record.value == pytest.approx(float(np.mean(true)), abs=3 * record.u)
