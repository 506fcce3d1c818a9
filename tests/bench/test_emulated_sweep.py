"""A sweep in all modes on a board whose core is emulated: real ARM code over its serial line and pins, in real time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labd.records import CaptureState
from labd_virtual.load import State
from tests.bench.whole_run import FIXTURES, Watch, Whole, changed, replaced, whole_run

pytestmark = [pytest.mark.compiler, pytest.mark.emulator]

MODES = ("always_on", "event_sleep", "event_reload")
WITHIN_S = 400.0  # hosts differ
SHORT = (
    ('rates = ["0 /s", "4 /s", "8 /s"]', 'rates = ["0 /s", "6 /s"]'),
    ("events = 20 ", "events = 12 "),
    ('floor_time = "1 s"', 'floor_time = "500 ms"'),
    ("event_captures = 10 ", "event_captures = 3 "),
)
# A busy host may be late by as much as this, and no edge moves.
PATIENT = (("firmware_delay_s = 0.02 ", "firmware_delay_s = 0.06 "), ('longest_event = "100 ms"', 'longest_event = "160 ms"'))
# Pin and counter tell the same inferences in two clocks, which are both the host's. Between reading the one and setting the other the core
# may lose its processor, so single ones may differ by milliseconds.
APART_S = 200e-6


def swept(folder: Path, board: str, *plan: tuple[str, str]) -> Whole:
    for command in ("qemu-system-arm", "arm-none-eabi-gcc"):
        if shutil.which(command) is None:
            pytest.skip(f"no {command}: install qemu-system-arm, gcc-arm-none-eabi and libnewlib-arm-none-eabi")
    changed(folder, "plans", "emulated", replaced(*SHORT, *plan))
    bench = changed(folder, "benches", "emulated", replaced(("virtual-lm3s6965evb.toml", f"{board}.toml")))
    text = (FIXTURES / "boards" / f"{board}.toml").read_text(encoding="utf-8")
    (folder / "boards" / f"{board}.toml").write_text(replaced(*PATIENT)(text), encoding="utf-8")
    return whole_run(folder, bench, folder / "plans/emulated.toml", Watch(folder / "truth.jsonl"), within_s=WITHIN_S)


def sound(whole: Whole) -> None:
    """Every capture is there, the board booted once and was never in danger."""
    assert whole.outcome.failed == ()
    assert {row.state for row in whole.captures()} == {CaptureState.FINISHED}
    assert (whole.watch.board["boots"], whole.watch.board["resets"], whole.watch.board["crashed"]) == (1, 0, "")
    assert whole.watch.board["worst_pin_v"] <= 3.6


def figures_come_out(whole: Whole, mode: str) -> None:
    """A floor, an energy, and how long an inference takes, by the pin in the samples and by the core's own counter."""
    at = f"{mode}/r=6/v=3/dnn"
    assert all(floor.value is not None and floor.value > 0 for floor in whole.all("power.floor", f"{mode}/r=0/v=3/dnn"))
    assert whole.value("energy_per_inference.gross" if mode == "always_on" else "energy_per_inference.per_event", at) > 0
    assert whole.value("latency.pin.p50", at) == pytest.approx(whole.value("latency.dut_counter.p50", at), abs=APART_S)


def test_a_cortex_m3_is_swept_in_every_mode(tmp_path: Path) -> None:
    whole = swept(tmp_path, "virtual-lm3s6965evb")
    sound(whole)
    for mode in MODES:
        figures_come_out(whole, mode)
    assert [event["cause"] for event in whole.watch.records("event")].count("trig") >= 2 * 3
    assert {State.WFI, State.SLEEP_RETAINED, State.SLEEP_MODEL_OFF} <= {record["state"] for record in whole.watch.records("rest")}


def test_a_cortex_m55_is_swept_too(tmp_path: Path) -> None:
    whole = swept(tmp_path, "virtual-mps3-an547", ('modes = ["always_on", "event_sleep", "event_reload"]', 'modes = ["event_sleep"]'))
    sound(whole)
    figures_come_out(whole, "event_sleep")
