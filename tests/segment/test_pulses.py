"""Windows of stock firmware: what its habits do to them, and what is left of that, on traces from the double's own clock and exact pins."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labd.dut.protocol import upload_commands
from labd.records import MarkStyle
from labd.segment.bursts import find_bursts
from labd.segment.edges import EdgeSeries
from labd.segment.errors import MarkOutside, NoMarks, OddEdgeCount
from labd.segment.laps import per_inference, place_laps
from labd.segment.marks import marks_from_marker
from labd.segment.pulses import Hold, calibrate_hold, find_pulses, pairs_of_falls, text_free, text_left_s
from labd_virtual.pins import Track
from tests.dut.stock_firmware import INFERENCE_US, StockFirmware

HIGH_V = 3.0
IDLE_W, SPIN_W, INFER_W, UART_W = 3e-3, 24e-3, 30e-3, 6e-3
DT_US = 100.0
KEEP_NS = 10**15


@dataclass(frozen=True)
class Recorded:
    """Records of `DT_US`: the pin's mean level and the mean power, and in records what the firmware really did."""

    marker: NDArray[np.float32]
    power: NDArray[np.float32]
    windows: NDArray[np.float64]
    holds: NDArray[np.float64]
    text_ends: float


def recorded(firmware: StockFirmware, *, window_counts: list[int]) -> Recorded:
    """All that the firmware has done, as an instrument sees it."""
    end_us = max(one.end_us for one in firmware.done) + 20 * DT_US
    ticks = np.arange(0, int(end_us / DT_US) + 1, dtype=np.int64) * round(DT_US * 1000)
    spans = {
        what: np.array([(one.start_us, one.end_us) for one in firmware.done if one.what == what]) for what in ("hold", "infer", "uart")
    }
    pin = _toggled(spans["hold"], ticks, on=0.0, off=HIGH_V)
    parts = [("hold", SPIN_W - IDLE_W), ("infer", INFER_W - IDLE_W), ("uart", UART_W)]
    power = np.full(len(ticks) - 1, IDLE_W)
    for what, watt in parts:
        power += _toggled(_joined(spans[what]), ticks, on=watt, off=0.0)
    starts = np.cumsum([0, *window_counts])
    windows = np.array([(spans["infer"][a, 0], spans["infer"][b - 1, 1]) for a, b in itertools.pairwise(starts)])
    return Recorded(
        pin.astype(np.float32), power.astype(np.float32), windows / DT_US, spans["hold"] / DT_US, _text_ends(firmware, windows[0, 0])
    )


def _toggled(spans: NDArray[np.float64], ticks: NDArray[np.int64], *, on: float, off: float) -> NDArray[np.float64]:
    """Means over records, exactly, by the virtual board's own pins."""
    track = Track(KEEP_NS)
    track.set(1, 1, off)
    for start_us, end_us in spans:
        track.set(round(start_us * 1000), 0, on)
        track.set(round(end_us * 1000), 1, off)
    means: NDArray[np.float64] = np.diff(track.integral(ticks)) / (DT_US * 1e-6)
    return means


def _joined(spans: NDArray[np.float64]) -> NDArray[np.float64]:
    """What follows without a gap is one."""
    new = np.append(True, spans[1:, 0] > spans[:-1, 1] + 1e-6)
    return np.stack((spans[new, 0], spans[np.append(new[1:], True), 1]), axis=1)


def _text_ends(firmware: StockFirmware, window_us: float) -> float:
    """Records from the start of the first window on during which what was printed before it is still sent."""
    first = next(k for k, one in enumerate(firmware.done) if one.what == "infer")
    ends = [one.end_us for one in firmware.done[:first] if one.what == "uart"]
    return max(0.0, max(ends) - window_us) / DT_US


def session(*commands: bytes, baud: int = 115200, hold_us: float = 1500.0, gap_us: float = 200_000.0) -> StockFirmware:
    firmware = StockFirmware(energy=True, baud=baud, hold_us=hold_us)
    firmware.boot()
    for text in upload_commands(bytes(firmware.model.input_size)):
        firmware.feed(f"{text}%".encode())
    firmware.counter_us += 1e6
    for command in commands:
        firmware.counter_us += gap_us
        firmware.feed(command)
    return firmware


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.floats(300.0, 4000.0))
def test_a_window_is_the_inferences_whatever_the_hold(count: int, hold_us: float) -> None:
    seen = recorded(session(b"timestamp%", f"infer {count} 0%".encode(), hold_us=hold_us), window_counts=[count])
    marks = marks_from_marker(seen.marker, style=MarkStyle.PULSES, high_v=HIGH_V, four_edges=False, expected=1)
    assert marks.ignored == 2  # of the boot and of `timestamp`
    np.testing.assert_allclose(marks.start.x, seen.windows[:, 0], atol=2e-3)
    np.testing.assert_allclose(marks.end.x, seen.windows[:, 1], atol=2e-3)


def test_the_stock_runners_way_would_charge_the_hold_to_one_inference() -> None:
    seen = recorded(session(b"infer 1 0%"), window_counts=[1])
    falling = find_pulses(seen.marker, high_v=HIGH_V).falling.x[-2:]
    assert falling[1] - falling[0] == pytest.approx((1500 + INFERENCE_US) / DT_US, abs=2e-3)
    assert seen.windows[0, 1] - seen.windows[0, 0] == pytest.approx(INFERENCE_US / DT_US)


def test_a_hold_that_was_calibrated_once_serves_where_only_falling_edges_are_told() -> None:
    seen = recorded(session(b"infer 3 0%", b"infer 7 0%"), window_counts=[3, 7])
    pulses = find_pulses(seen.marker, high_v=HIGH_V)
    hold = calibrate_hold(pulses)
    assert hold.x == pytest.approx(15.0, abs=2e-3)
    assert hold.n == 5
    start, end, ignored = pairs_of_falls(pulses.falling, hold, expected=2)
    assert ignored == 1
    np.testing.assert_allclose(start.x, seen.windows[:, 0], atol=5e-3)
    np.testing.assert_allclose(end.x, seen.windows[:, 1], atol=5e-3)
    assert np.all(start.u > end.u)


def test_the_stated_uncertainty_of_a_hold_is_its_scatter() -> None:
    rng = np.random.default_rng(4)
    found, stated = [], []
    for _ in range(150):
        firmware = session(*[b"infer 1 0%"] * 4, gap_us=float(rng.uniform(30_000, 31_000)))
        seen = recorded(firmware, window_counts=[1] * 4)
        noisy = (seen.marker + 0.02 * rng.standard_normal(len(seen.marker))).astype(np.float32)
        hold = calibrate_hold(find_pulses(noisy, high_v=HIGH_V))
        found.append(hold.x)
        stated.append(hold.u)
    assert abs(float(np.mean(found)) - 15.0) < 5e-3
    assert float(np.std(found)) == pytest.approx(float(np.mean(stated)), rel=0.35)


def test_edges_that_are_no_window_are_named() -> None:
    hold = Hold(15.0, 1e-3, 5)

    def falls(*x: float) -> EdgeSeries:
        return EdgeSeries(np.array(x), np.full(len(x), 0.1))

    with pytest.raises(OddEdgeCount, match="3 falling edges, windows need pairs"):
        pairs_of_falls(falls(1.0, 40.0, 80.0), hold)
    with pytest.raises(MarkOutside, match="nearer than the hold of 15 records"):
        pairs_of_falls(falls(10.0, 20.0), hold)
    with pytest.raises(NoMarks, match="no pulse is recorded"):
        calibrate_hold(find_pulses(np.full(50, HIGH_V, np.float32), high_v=HIGH_V))


def lines_before(count: int, warm_ups: int) -> list[tuple[float, int]]:
    """As the host knows them: printed before and after the warm-ups, from the start of `infer` on."""
    warm_s = warm_ups * INFERENCE_US * 1e-6
    return [(0.0, len(f"m-warmup-start-{warm_ups}") + 2), (warm_s, len("m-warmup-done") + 2), (warm_s, len(f"m-infer-start-{count}") + 2)]


@pytest.mark.parametrize(("count", "warm_ups", "baud"), [(200, 0, 9600), (200, 10, 9600), (50, 0, 9600), (50, 3, 115200)])
def test_text_that_overlaps_a_window_is_known_and_left_out(count: int, warm_ups: int, baud: int) -> None:
    seen = recorded(session(f"infer {count} {warm_ups}%".encode(), baud=baud), window_counts=[count])
    marks = marks_from_marker(seen.marker, style=MarkStyle.PULSES, high_v=HIGH_V, four_edges=False, expected=1)
    window_s = warm_ups * INFERENCE_US * 1e-6 + 1500e-6
    left_s = text_left_s(lines_before(count, warm_ups), window_s=window_s, baud=baud)
    assert left_s * 1e6 / DT_US == pytest.approx(seen.text_ends, abs=1e-6)
    free = text_free(marks.start, marks.end, text_x=left_s * 1e6 / DT_US)
    truth_j = INFER_W * INFERENCE_US * 1e-6
    whole_j = _energy_j(seen.power, marks.start.x[0], marks.end.x[0]) / count
    free_j = _energy_j(seen.power, free.start.x[0], marks.end.x[0]) / free.share[0] / count
    assert free_j == pytest.approx(truth_j, rel=1e-4)
    assert whole_j - truth_j == pytest.approx(UART_W * left_s / count, rel=1e-2, abs=1e-4 * truth_j)
    assert (left_s > 0.02) == (baud == 9600)


def test_a_window_that_the_text_outlasts_has_no_text_free_part() -> None:
    seen = recorded(session(b"infer 5 0%", baud=9600), window_counts=[5])
    marks = marks_from_marker(seen.marker, style=MarkStyle.PULSES, high_v=HIGH_V, four_edges=False, expected=1)
    left_s = text_left_s(lines_before(5, 0), window_s=1500e-6, baud=9600)
    assert text_free(marks.start, marks.end, text_x=left_s * 1e6 / DT_US).share.tolist() == [0.0]


def _energy_j(power: NDArray[np.float32], start: float, end: float) -> float:
    total = np.concatenate(([0.0], np.cumsum(power, dtype=np.float64)))
    return float(np.interp(end, np.arange(len(total)), total) - np.interp(start, np.arange(len(total)), total)) * DT_US * 1e-6


def test_two_numbers_of_inferences_tell_one_without_knowing_the_hold() -> None:
    counts = np.array([1, 5, 20, 50])
    seen = recorded(session(*(f"infer {count} 0%".encode() for count in counts)), window_counts=counts.tolist())
    falls = find_pulses(seen.marker, high_v=HIGH_V).falling.x[1:]
    lengths = (falls[1::2] - falls[::2]) * DT_US
    found = per_inference(counts, lengths)
    assert found.x == pytest.approx(INFERENCE_US, rel=1e-4)
    assert found.constant == pytest.approx(1500.0, abs=1.0)
    assert found.u is not None
    assert per_inference(counts[:2], lengths[:2]).u is None
    with pytest.raises(NoMarks, match="try another number"):
        per_inference(counts[:1], lengths[:1])


def test_the_uncertainty_of_a_slope_is_its_scatter() -> None:
    rng = np.random.default_rng(6)
    counts = np.array([1, 2, 5, 10, 20, 50])
    made = [per_inference(counts, 1500.0 + 2059.0 * counts + 3 * rng.standard_normal(6)) for _ in range(800)]
    us = np.array([one.u for one in made], np.float64)
    assert float(np.std([one.x for one in made])) == pytest.approx(float(np.sqrt(np.mean(us**2))), rel=0.1)


def test_text_laps_across_the_wrap_place_their_windows_on_bursts() -> None:
    firmware = StockFirmware(counter_us=2**32 - 70_000)
    firmware.boot()
    laps = []
    for count in (10, 40):
        firmware.counter_us += 30_000
        text = firmware.feed(f"infer {count} 0%".encode()).decode()
        start, end = (float(line.removeprefix("m-lap-us-")) for line in text.splitlines() if line.startswith("m-lap-us-"))
        laps.append([np.nan, np.nan, np.nan, start, end])
    assert laps[0][4] > laps[1][3]  # it wrapped between them
    began_us = 2**32 - 70_000
    infer = np.array([(one.start_us, one.end_us) for one in firmware.done if one.what == "infer"]) - began_us
    ticks = np.arange(0, 2500, dtype=np.int64) * round(DT_US * 1000)
    power = IDLE_W + _toggled(_joined(infer), ticks, on=INFER_W - IDLE_W, off=0.0)
    marks, clock = place_laps(find_bursts(power.astype(np.float32), tau_records=0.0), np.array(laps), always_on=True)
    np.testing.assert_allclose(marks.start.x, _joined(infer)[:, 0] / DT_US, atol=0.05)
    np.testing.assert_allclose(marks.end.x, _joined(infer)[:, 1] / DT_US, atol=0.05)
    assert clock.rate == pytest.approx(1 / DT_US, rel=1e-4)
