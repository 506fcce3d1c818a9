"""Laps placed by the signatures around them, on a record that has nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from labd.segment.bracketed import BY_BURST_ENDS, BY_SIGNATURE, TAIL_US, WAY_S, Burnt, Placed, Recorded, find_pair, place_bracketed
from labd.segment.bursts import Bursts, find_bursts
from labd.segment.clocks import FloatArray
from labd.segment.edges import EdgeSeries
from labd.segment.errors import MissingEvents, SignatureNotFound, SignatureUnclear
from labd.segment.signature import Path, Signature
from tests.segment.burnt import Steps, chips, joined, recorded

DT_S, TAU_S, DELAY_S = 10e-6, 22e-6, 60e-6
SIGNATURE = Signature(500e-6, 6, 21)
SLEEP_W, WFI_W, BUSY_W = 18e-6, 3.3e-3, 15e-3
RATE = 1.013  # of the device's counter
FIRST_S, PERIOD_S, EVENTS = 0.1, 0.05, 8
AFTER_EVENT_S = (0.0, 1.2e-3, 3e-3, 4e-3, 12e-3)  # awake, ready and so on after the deadline
LIMIT = 0.02


@dataclass(frozen=True, slots=True)
class Capture:
    """power: the record. laps: as the device tells them. true: their places in records, float64 [n, 5]."""

    power: NDArray[np.float32]
    burnt: Burnt
    laps: FloatArray
    true: FloatArray


def captured(*, stops: bool = False, stops_s: float = np.inf, always_on: bool = False, closing: bool = True, seed: int = 1) -> Capture:
    opens_s, closes_s = 0.03, FIRST_S + EVENTS * PERIOD_S + 0.02
    due_s = FIRST_S + PERIOD_S * np.arange(EVENTS)
    events_s = due_s[:, None] + (np.array([0.0, 0.0, 0.0, 0.0, 8e-3]) if always_on else np.array(AFTER_EVENT_S))
    rest_w = WFI_W if always_on else SLEEP_W

    def pattern(at_s: float) -> Steps:
        one = chips(SIGNATURE.chips.tolist(), start_s=at_s, chip_s=SIGNATURE.chip_s / RATE, base_w=WFI_W, busy_w=BUSY_W)
        return Steps(np.append(one.at_s, one.at_s[-1] + 2e-3), np.append(one.level_w, rest_w), WFI_W)

    parts = [pattern(opens_s)]
    for row in events_s:
        if always_on:
            parts.append(Steps(row[[3, 4]], np.array([25e-3, rest_w]), rest_w))
        else:
            at = np.append(row[[0, 1, 3, 4]], row[4] + TAIL_US * 1e-6 / RATE)
            parts.append(Steps(at, np.array([2.4e-3, 20e-3, 25e-3, 5e-3, rest_w]), rest_w))
    parts.append(Steps(np.array([closes_s - 2e-3]), np.array([WFI_W]), rest_w))
    if closing:
        parts.append(pattern(closes_s))
    n = round((closes_s + SIGNATURE.lasts_s + 0.02) / DT_S)
    rng = np.random.default_rng(seed)
    clean = recorded(joined(*parts), n=n, dt_s=DT_S, tau_s=TAU_S, delay_s=DELAY_S)
    power = (clean * (1 + 0.01 * rng.standard_normal(n)) + 1e-6 * rng.standard_normal(n)).astype(np.float32)

    def counter(t_s: FloatArray) -> FloatArray:
        """Microseconds; where it stops, it does so from the end of one event to the code of the next, for stops_s at most."""
        out = 7e6 + 1e6 * RATE * t_s
        if stops:
            for asleep, awake in zip(np.append(due_s[0], events_s[:-1, 4] + TAIL_US * 1e-6 / RATE), events_s[:, 1], strict=True):
                still = max(asleep, awake - stops_s)
                out = out - 1e6 * RATE * np.clip(t_s - still, 0, awake - still)
        return np.floor(out)

    laps = counter(events_s)
    if stops:
        laps[:, 0] = laps[:, 1]
    lasts_us = SIGNATURE.lasts_s * 1e6
    opened, closed = (float(counter(np.array([at]))[0]) for at in (opens_s, closes_s))
    true = (events_s + DELAY_S) / DT_S
    return Capture(power, Burnt(SIGNATURE, (opened, opened + lasts_us), (closed, closed + lasts_us)), laps, true)


def bursts_of(capture: Capture) -> Bursts:
    return find_bursts(capture.power, tau_records=TAU_S / DT_S, smooth_records=5)


def placed(capture: Capture, *, always_on: bool = False, bursts: Bursts | None = None) -> Placed:
    pair = find_pair(capture.power, capture.burnt, dt_s=DT_S, path=Path(TAU_S), rate_limit=LIMIT)
    own = pair.sharpened(capture.power, bursts_of(capture) if bursts is None else bursts, tau_records=TAU_S / DT_S)
    return place_bracketed(pair, Recorded(capture.power, DT_S, TAU_S), own, capture.laps, always_on=always_on)


def worst(capture: Capture, found: Placed, *columns: int) -> float:
    return max(float(np.abs(found.instants[k].x - capture.true[:, k]).max()) for k in columns)


@pytest.mark.parametrize("always_on", [False, True])
def test_laps_lie_where_the_records_show_them(always_on: bool) -> None:
    capture = captured(always_on=always_on)
    found = placed(capture, always_on=always_on)
    assert found.method == BY_SIGNATURE
    assert worst(capture, found, 1, 2, 3, 4) < 0.4
    assert found.clock.rate == pytest.approx(1e-6 / RATE / DT_S, rel=1e-5)
    assert found.timeline is not None
    assert abs(found.timeline.displaced[0]) < 0.5, "the edges of the bursts agree with the signatures"


def test_the_signatures_alone_place_laps_where_no_burst_is_found() -> None:
    capture = captured()
    nothing = bursts_of(capture).take(np.zeros(len(bursts_of(capture)), dtype=np.bool_))
    found = placed(capture, bursts=nothing)
    assert found.timeline is not None
    assert len(found.timeline.ties) == 0
    assert worst(capture, found, 3, 4) < 0.4, "this counter does not wander"
    assert found.instants[3].u.max() > 3 * placed(capture).instants[3].u.max(), "but it might"


def test_a_counter_that_stops_in_sleep_places_laps_within_each_burst() -> None:
    capture = captured(stops=True)
    found = placed(capture)
    assert found.method == BY_BURST_ENDS
    assert found.timeline is None
    assert worst(capture, found, 1, 2, 3, 4) < 0.5


def test_a_counter_that_stops_for_a_short_sleep_is_not_taken_for_one_that_runs_slow() -> None:
    """In all by 1.6 % of the capture, within what its rate may be off."""
    capture = captured(stops=True, stops_s=1e-3)
    found = placed(capture)
    assert found.method == BY_BURST_ENDS
    assert worst(capture, found, 1, 2, 3, 4) < 0.5


def test_the_end_of_a_tail_may_lie_elsewhere_than_a_chip() -> None:
    """By the way from its timer to the current, of which no capture tells anything where the counter stands still."""
    capture = captured(stops=True)
    least = WAY_S / np.sqrt(3) / DT_S
    assert all(float(series.u.min()) > least for series in placed(capture).instants[1:])


def test_a_burst_too_few_is_refused_where_only_bursts_hold_laps() -> None:
    capture = captured(stops=True)
    every = bursts_of(capture)
    with pytest.raises(MissingEvents, match="7 bursts for 8 laps"):
        placed(capture, bursts=every.take(np.arange(len(every)) != 3))


def test_a_burst_too_few_costs_one_tie_where_the_counter_runs_on() -> None:
    capture = captured()
    every = bursts_of(capture)
    found = placed(capture, bursts=every.take(np.arange(len(every)) != 3))
    assert found.timeline is not None
    assert len(found.timeline.ties) == EVENTS - 1
    assert worst(capture, found, 3, 4) < 0.4


def test_a_counter_that_stops_although_the_device_never_slept_is_refused() -> None:
    capture = captured(stops=True)
    with pytest.raises(SignatureUnclear, match="never slept"):
        placed(capture, always_on=True)


def test_a_program_cut_off_before_its_closing_signature_is_refused() -> None:
    with pytest.raises(SignatureNotFound, match="1 of 2 signatures"):
        placed(captured(closing=False))


def test_bursts_displaced_alike_show_as_a_disagreement_of_the_two_methods() -> None:
    """As by a wake-up that takes its time: told, and mostly not believed."""
    capture = captured()
    every = bursts_of(capture)
    pair = find_pair(capture.power, capture.burnt, dt_s=DT_S, path=Path(TAU_S), rate_limit=LIMIT)
    sharp = pair.sharpened(capture.power, every, tau_records=TAU_S / DT_S)
    late = Bursts(sharp.first, sharp.stop, EdgeSeries(sharp.rise.x + 2.0, sharp.rise.u), sharp.fall, sharp.base_w, sharp.noise_w)
    found = place_bracketed(pair, Recorded(capture.power, DT_S, TAU_S), late, capture.laps, always_on=False)
    assert found.timeline is not None
    assert found.timeline.displaced[0] > 1.0
    assert worst(capture, found, 3, 4) < 1.0
