"""Limits in the data: what is over a limit trips at its block, what the limits allow does not."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.errors import SafetyRefusal
from labd.stream.pump import pumping
from labd.stream.session import InstrumentSession
from labd.stream.trip import Trip, TripLimits
from labd_instruments.block import Block, BlockFlag

LIMITS = TripLimits(voltage_v=3.6, current_a=0.15, power_w=0.5, inrush_a=0.2, inrush_s=5e-3, where="demo.toml [limits]")
DT_NS = 10_000
DT_S = DT_NS * 1e-9


def block(current: object, volts: float | None = None, dt_ns: int = DT_NS, first: int = 0) -> Block:
    amps = np.atleast_1d(np.asarray(current, np.float32))
    return Block(first, first * dt_ns, dt_ns, amps, None if volts is None else np.full(len(amps), volts, np.float32))


class Stream:
    """Samples one after the other through one trip."""

    def __init__(self, trip: Trip) -> None:
        self._trip = trip
        self._seen = 0

    def trips(self, current: object, volts: float | None = None) -> bool:
        one = block(current, volts, first=self._seen)
        self._seen += len(one)
        return outcome(self._trip, [one])


def trips(trip: Trip, current: object, volts: float | None = None) -> bool:
    return Stream(trip).trips(current, volts)


def test_a_short_circuit_trips_and_the_message_names_value_limit_and_place() -> None:
    with pytest.raises(SafetyRefusal, match=r"over-current: up to 2 A .* limit is 0.15 A \(demo.toml \[limits\]: limits.current") as caught:
        Trip(LIMITS)(block(np.full(100, 2.0)))
    assert caught.value.exit_code == 5


def test_an_inrush_as_allowed_passes_and_a_longer_one_does_not() -> None:
    allowed = np.full(round(5e-3 / DT_S), 0.2)
    stream = Stream(Trip(LIMITS))
    assert not stream.trips(allowed)
    assert not stream.trips(np.zeros(10_000))
    assert not stream.trips(allowed), "an inrush long after the first one is allowed as well"
    assert stream.trips(np.full(300, 0.2)), "that one has not drained yet"


def test_another_event_begins_at_zero() -> None:
    trip = Trip(LIMITS)
    assert not any(trips(trip, np.full(round(4e-3 / DT_S), 0.2)) for _ in range(10))


def test_an_overload_in_small_blocks_trips_as_in_a_large_one() -> None:
    stream = Stream(Trip(LIMITS))
    tripped_after = next(n for n in range(10_000) if stream.trips(np.full(7, 0.3))) * 7 * DT_S
    assert tripped_after == pytest.approx(0.05 * 5e-3 / (0.3 - 1.02 * 0.15), abs=20 * DT_S)


def test_bursts_whose_mean_is_over_the_limit_trip_although_each_is_short() -> None:
    bursts = np.where(np.arange(200_000) % 100 < 90, 0.19, 0.05)
    assert bursts.mean() > LIMITS.current_a
    assert trips(Trip(LIMITS), bursts)


@pytest.mark.parametrize("mean_a", [0.0, 0.1, 0.149])
def test_noise_below_the_limit_never_trips(mean_a: float) -> None:
    noise = np.random.default_rng(1).normal(mean_a, 0.02, 1_000_000)
    stream = Stream(Trip(LIMITS))
    assert not any(stream.trips(part) for part in np.split(noise, 100))


def test_a_source_that_holds_its_limit_within_its_accuracy_does_not_trip() -> None:
    assert not trips(Trip(LIMITS), np.full(1_000_000, 0.15 * 1.01))


def test_unknown_readings_count_as_over_where_the_range_reaches_the_limit() -> None:
    unknown = np.full(2_000, np.nan)
    assert trips(Trip(LIMITS), unknown)
    assert trips(Trip(LIMITS, full_scale_a=3.0), unknown)
    assert not trips(Trip(LIMITS, full_scale_a=1e-3), unknown), "a low range that is exceeded says nothing of the limit"
    assert not trips(Trip(LIMITS), np.where(np.arange(2_000) < 400, np.nan, 0.01)), "as long as an inrush may last"
    with pytest.raises(SafetyRefusal, match="over the range in the samples"):
        Trip(LIMITS)(block(unknown))


def test_power_over_its_limit_trips_although_the_current_is_within() -> None:
    assert not trips(Trip(LIMITS), np.full(100_000, 0.14), volts=3.3)
    with pytest.raises(SafetyRefusal, match=r"over-power: up to 0.504 W .* limits.power"):
        Trip(replace_power(0.45))(block(np.full(100_000, 0.14), volts=3.6))


def replace_power(power_w: float) -> TripLimits:
    return TripLimits(LIMITS.voltage_v, LIMITS.current_a, power_w, LIMITS.inrush_a, LIMITS.inrush_s, LIMITS.where)


def test_a_block_without_current_is_not_judged() -> None:
    Trip(LIMITS)(Block(0, 0, DT_NS, None, np.full(3, 3.0, np.float32)))


@given(st.lists(st.floats(0.0, 0.5, width=32), min_size=1, max_size=300), st.integers(1, 50))
def test_how_a_stream_is_cut_into_blocks_changes_nothing(values: list[float], size: int) -> None:
    samples = np.array(values, np.float32)
    long_dt = 200_000
    whole = outcome(Trip(LIMITS), [block(samples, dt_ns=long_dt)])
    parts = [block(samples[k : k + size], dt_ns=long_dt, first=k) for k in range(0, len(samples), size)]
    assert outcome(Trip(LIMITS), parts) == whole


def outcome(trip: Callable[[Block], None], blocks: list[Block]) -> bool:
    try:
        for one in blocks:
            trip(one)
    except SafetyRefusal:
        return True
    return False


async def test_the_pump_ends_at_the_block_that_trips_and_hands_on_none_of_it() -> None:
    blocks = [block(np.zeros(10)), block(np.zeros(10)), block(np.full(10, np.inf)), block(np.zeros(10))]
    seen: list[int] = []

    async def consume(session: InstrumentSession) -> None:
        async with pumping(session, lambda: blocks.pop(0) if blocks else None, deadline_s=20.0, check=Trip(LIMITS)) as pump:
            async for one in pump:
                seen.append(len(one))  # noqa: PERF401  what came before the trip is kept

    async with InstrumentSession("smu") as session:
        with pytest.raises(SafetyRefusal, match="over-current"):
            await consume(session)
    assert seen == [10, 10]
    assert len(blocks) == 1


@pytest.mark.evidence
def test_a_million_samples_a_second_cost_less_than_one_percent() -> None:
    rng = np.random.default_rng(1)
    second = [
        Block(0, 0, 1_000, rng.normal(0.01, 1e-3, 10_000).astype(np.float32), np.full(10_000, 3.0, np.float32), flags=BlockFlag.NONE)
        for _ in range(100)
    ]
    trip = Trip(LIMITS)
    begun_s = time.thread_time()
    for one in second:
        trip(one)
    assert time.thread_time() - begun_s < 0.01


def test_power_trips_with_a_voltage_that_another_instrument_feeds() -> None:
    amps = np.full(20_000, 0.145)  # allowed as a current, 0.522 W at 3.6 V
    assert not trips(Trip(LIMITS), amps), "nobody knows the voltage"
    assert not trips(Trip(LIMITS, constant_v=3.0), amps)
    with pytest.raises(SafetyRefusal, match=r"over-power: up to 0\.522 W"):
        Trip(LIMITS, constant_v=3.6)(block(amps))


def test_a_recorded_voltage_counts_more_than_the_one_that_is_set() -> None:
    assert not trips(Trip(LIMITS, constant_v=3.6), np.full(20_000, 0.145), volts=3.0)
