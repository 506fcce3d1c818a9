"""Replay: a file as a meter, at the pace of a clock, without a sample too many or too few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd_instruments import loader
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock
from labd_instruments.contract import Captures, Measures, Sources, Streams, StreamSetup
from labd_instruments.drivers import replay
from labd_instruments.errors import InstrumentError, LostSamplesError, NotConnectedError, OutOfRangeError, ReplyError, WrongInstrumentError
from labd_instruments.links.scripted import ScriptedLink

SETUP = StreamSetup(dt_s=1e-3, current_range_a=0.1, voltage_range_v=20.0)


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.clock = Clock("hand", lambda: self.now_s, 0.0)


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def counting(path: Path, length: int, dt_ns: int, **more: Any) -> Path:
    """A recording whose current is the index of the sample."""
    index = np.arange(length, dtype=np.float32)
    return write(path, current=index, voltage=index + 1, dt_ns=np.int64(dt_ns), **more)


def playing(path: Path, hand: Hand, **options: Any) -> replay.Replay:
    driver = replay.open("meter", str(path), replay.Options(**options), clock=hand.clock)
    driver.reset()
    driver.configure_stream(SETUP)
    driver.start_stream()
    return driver


def due(driver: replay.Replay) -> list[Block]:
    blocks: list[Block] = []
    while (block := driver.read_block()) is not None:
        blocks.append(block)
    return blocks


@settings(max_examples=50, deadline=None)
@given(
    length=st.integers(1, 300_000),
    dt_ns=st.sampled_from([1000, 20_480, 1_000_000, 700_000_000]),
    steps_s=st.lists(st.floats(0.0, 0.9), min_size=1, max_size=8),
)
def test_it_plays_each_sample_once_and_then_the_file_again(
    tmp_path_factory: pytest.TempPathFactory, length: int, dt_ns: int, steps_s: list[float]
) -> None:
    hand = Hand()
    driver = playing(counting(tmp_path_factory.mktemp("replay") / "r.npz", length, dt_ns), hand)
    blocks: list[Block] = []
    for step_s in steps_s:
        hand.now_s += step_s
        blocks += due(driver)
    end = driver.stop_stream()
    shortest = max(1, replay.SHORTEST_BLOCK_NS // dt_ns)
    assert end.records == sum(map(len, blocks))
    assert 0 <= end.elapsed_s * 1e9 / dt_ns - end.records < shortest + 1
    at = 0
    for block in blocks:
        assert (block.seq, block.t0_ns, block.dt_ns) == (at, at * dt_ns, dt_ns)
        assert len(block) == 1 or len(block) * dt_ns <= replay.LONGEST_BLOCK_NS
        assert block.current is not None
        assert block.voltage is not None
        np.testing.assert_array_equal(block.current, (at + np.arange(len(block))) % length)
        np.testing.assert_array_equal(block.voltage, block.current + 1)
        at += len(block)


def test_a_host_that_falls_behind_is_told_what_it_lost(tmp_path: Path) -> None:
    hand = Hand()
    driver = playing(counting(tmp_path / "r.npz", 1000, 1000), hand, buffer_s=0.5)
    hand.now_s += 0.4
    assert 390_000 <= sum(map(len, due(driver))) <= 400_000
    hand.now_s += 0.6
    with pytest.raises(LostSamplesError, match=r"meter: 6\d{5} samples wait, 0.6\d* s, its buffer holds 0.5 s: ") as caught:
        driver.read_block()
    assert caught.value.expected - caught.value.received == pytest.approx(605_000, abs=5_001)


def test_nothing_is_played_before_its_start_and_after_its_end(tmp_path: Path) -> None:
    hand = Hand()
    driver = playing(counting(tmp_path / "r.npz", 1000, 1_000_000), hand)
    driver.stop_stream()
    hand.now_s += 1.0
    assert driver.read_block() is None
    driver.start_stream()
    hand.now_s += 0.1
    assert sum(map(len, due(driver))) == pytest.approx(100, abs=1)
    driver.make_safe()
    hand.now_s += 0.1
    assert driver.read_block() is None


def test_lines_and_over_range_samples_are_played_as_they_are(tmp_path: Path) -> None:
    current = np.array([1.0, np.nan, 1.0, 1.0])
    path = write(
        tmp_path / "r.npz",
        current=current,
        voltage=np.full(4, 3.0),
        marker=np.array([0.0, 3.0, 3.0, 0.0]),
        digital=np.array([0, 1, 129, 0]),
        dt_ns=np.array([20_000_000]),
    )
    hand = Hand()
    driver = playing(path, hand)
    acquisition = driver.configure_stream(StreamSetup(1e-3, 0.1, 20.0, with_marker=True))
    assert (acquisition.dt_ns, acquisition.columns) == (20_000_000, ("current", "voltage", "marker", "digital"))
    assert (acquisition.current_range_a, acquisition.voltage_range_v) == (0.1, 20.0)
    hand.now_s += 0.081
    first, second = due(driver)
    assert (first.flags, second.flags) == (BlockFlag.OVER_RANGE, BlockFlag.NONE)
    assert first.digital is not None
    assert second.digital is not None
    assert second.marker is not None
    assert (first.digital.tolist(), second.digital.tolist(), second.marker.tolist()) == ([0, 1], [129, 0], [3.0, 0.0])


def test_a_marker_that_the_file_has_not_is_refused(tmp_path: Path) -> None:
    driver = playing(counting(tmp_path / "r.npz", 10, 1000), Hand())
    with pytest.raises(OutOfRangeError, match=r"a marker is asked for, .*r.npz has none"):
        driver.configure_stream(StreamSetup(1e-3, 0.1, 20.0, with_marker=True))


def test_seamless_ranging_is_refused(tmp_path: Path) -> None:
    driver = playing(counting(tmp_path / "r.npz", 10, 1000), Hand())
    with pytest.raises(OutOfRangeError, match="replay has no seamless ranging"):
        driver.configure_stream(StreamSetup(1e-3, None, 20.0))


ONES = np.ones(4)
GOOD = {"current": ONES, "voltage": ONES, "dt_ns": np.int64(1000)}


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"voltage": None}, "there is no array voltage"),
        ({"dt_ns": None}, "there is no array dt_ns"),
        ({"dt_ns": np.float64(1e-6)}, "dt_ns is 1e-06, right would be one positive integer"),
        ({"dt_ns": np.int64(0)}, "dt_ns is 0, right would be one positive integer"),
        ({"dt_ns": np.arange(3)}, r"dt_ns is \[0, 1, 2\], right would be one positive integer"),
        ({"voltage": np.ones(3)}, r"voltage is float64 \[3\], right would be a row of as many numbers as current has"),
        ({"current": np.ones((2, 2))}, r"current is float64 \[2, 2\], right"),
        ({"current": np.ones(0), "voltage": np.ones(0)}, "at least one"),
        ({"marker": np.array(["a", "b", "c", "d"])}, "marker is <U1"),
        ({"digital": np.array([0, 1, 2, 256])}, "whole numbers from 0 to 255"),
        ({"digital": np.ones(4)}, "whole numbers from 0 to 255"),
        ({"current": np.array([None] * 4)}, "no .npz file of plain arrays"),
        ({"stretch": np.array([0, 0, 1, 1])}, "it holds 2 stretches with gaps between them"),
    ],
)
def test_a_file_that_is_none_is_refused_with_what_would_be_right(tmp_path: Path, arrays: dict[str, Any], complaint: str) -> None:
    path = write(tmp_path / "r.npz", **{key: value for key, value in (GOOD | arrays).items() if value is not None})
    with pytest.raises(ReplyError, match=complaint) as caught:
        loader.open_driver("replay", "meter", str(path), {})
    assert f"meter: {path}" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200), cut=st.integers(0, 600))
def test_any_other_bytes_are_refused_by_name(tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    torn = write(folder / "torn.npz", **GOOD).read_bytes()[:cut]
    for one in (content, torn, torn + content):
        (folder / "r.npz").write_bytes(one)
        with pytest.raises(InstrumentError, match="meter"):
            loader.open_driver("replay", "meter", str(folder / "r.npz"), {})


def test_no_file_and_no_whole_path_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotConnectedError, match="there is no such file"):
        loader.open_driver("replay", "meter", str(tmp_path / "none.npz"), {})
    with pytest.raises(NotConnectedError, match="give the whole path"):
        loader.open_driver("replay", "meter", "r.npz", {})


def test_a_link_is_closed_and_refused(tmp_path: Path) -> None:
    link = ScriptedLink([])
    with pytest.raises(WrongInstrumentError, match="talks to no instrument"):
        loader.open_driver("replay", "meter", str(tmp_path), {}, link=link)
    assert link.closed


def test_it_says_of_itself_that_it_only_streams_and_needs_no_wires(tmp_path: Path) -> None:
    info = loader.info("replay")
    driver = playing(counting(tmp_path / "r.npz", 10, 1000), Hand())
    assert (info.roles, info.needs_no_wires, info.capabilities) == (("meter",), True, ("Instrument", "Streams"))
    assert isinstance(driver, Streams)
    assert not isinstance(driver, Sources | Captures | Measures)
    assert driver.accuracy().rows == ()
    assert all(option.sentence for option in info.options)
    assert not any(info.needs_no_wires for info in loader.available() if info.name != "replay")
