"""Summaries of a trace: the same points whenever, and in however many looks, they are read; together what the samples are."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from labd.influx.trace_points import TracePoints, attempt_of
from labd.store.parquet import finish_trace
from labd.store.trace_reader import read_trace
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block, BlockFlag
from tests.influx.reader import Point, read

DT_NS = 1_000_000
UTC_NS = 1_795_444_200_000_000_000
POINT = {"mode": "event_sleep", "rate_hz": 5.0, "supply_v": 3.3, "model": "dnn", "settings": {}}
CAPTURE = {"run": "r1", "key": "event_sleep/r=5/v=3.3/dnn event 0", "role": "mean", "point": POINT}
RATE_HZ = 100.0  # ten samples a bucket
LENGTHS = st.lists(
    st.tuples(st.integers(1, 37), st.sampled_from([BlockFlag.NONE, BlockFlag.NONE, BlockFlag.GAP_BEFORE])), min_size=1, max_size=8
)


def blocks(given: Sequence[tuple[int, BlockFlag]]) -> list[Block]:
    made, seq = [], 0
    chance = np.random.default_rng(1)
    for length, flags in given:
        seq += 5 * (flags is BlockFlag.GAP_BEFORE)
        values = chance.uniform(1e-6, 1e-2, length).astype(np.float32)
        made.append(Block(seq, seq * DT_NS, DT_NS, values, np.full(length, 3.3, np.float32), flags=flags))
        seq += length
    return made


def all_of(points: TracePoints, place: int = 0, *, ended: bool) -> tuple[list[Point], int]:
    found: list[Point] = []
    while (piece := points.next(place, ended=ended)) is not None:
        now = read(piece.body)
        assert (len(now), now[0].t_ns, now[-1].t_ns) == (piece.points, piece.first_ns, piece.last_ns)
        assert piece.place > place
        found, place = [*found, *now], piece.place
    return found, place


@given(LENGTHS)
@settings(deadline=None, max_examples=25)
def test_looking_often_while_it_is_recorded_gives_the_points_of_the_finished_file(lengths: list[tuple[int, BlockFlag]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0003-mean.parquet"
        writer = TraceWriter(path, capture=CAPTURE)
        writer.know(utc_ns=UTC_NS)
        live: list[Point] = []
        place, following = 0, None
        for block in blocks(lengths):
            writer.write(block)
            following = following or TracePoints(path, bench="b", board="m4", rate_hz=RATE_HZ)
            more, place = all_of(following, place, ended=False)
            live += more
        writer.end_stream()
        assert following is not None
        torn, _ = all_of(following, place, ended=True)
        finish_trace(path)
        rest, _ = all_of(following, place, ended=True)  # opens the finished file by itself
        whole, _ = all_of(TracePoints(path, bench="b", board="m4", rate_hz=RATE_HZ), ended=True)
        trace = read_trace(path)
    assert live + rest == live + torn == whole
    assert sum(int(point.fields["n"]) for point in whole) == trace.samples
    current = np.concatenate([stretch.current for stretch in trace.stretches if stretch.current is not None]).astype(np.float64)
    assert_allclose(sum(float(point.fields["charge"]) for point in whole), current.sum() * 1e-3, rtol=1e-12)
    assert_allclose(sum(float(point.fields["energy"]) for point in whole), (current * np.float64(np.float32(3.3))).sum() * 1e-3, rtol=1e-12)
    times = [point.t_ns for point in whole]
    assert times == sorted(set(times))


def test_a_long_look_gives_what_many_short_ones_give(tmp_path: Path) -> None:
    """Longer than what is summed up at once, and blocks that begin anywhere in it."""
    path = tmp_path / "0003-mean.parquet"
    live: list[Point] = []
    place, following = 0, None
    with TraceWriter(path, capture=CAPTURE) as writer:
        for block in blocks([(30_011, BlockFlag.NONE)] * 6):
            writer.write(block)
            following = following or TracePoints(path, bench="b", board="m4", rate_hz=1.0)
            more, place = all_of(following, place, ended=False)
            live += more
        at_once, _ = all_of(TracePoints(path, bench="b", board="m4", rate_hz=1.0), ended=False)
    whole, _ = all_of(TracePoints(path, bench="b", board="m4", rate_hz=1.0), ended=True)
    assert live == at_once == whole[: len(live)]
    assert len(live) == 180
    assert sum(int(point.fields["n"]) for point in whole) == 6 * 30_011


def test_a_point_says_where_it_comes_from_and_when_its_bucket_began(tmp_path: Path) -> None:
    path = tmp_path / "0003-mean-2.parquet"
    with TraceWriter(path, capture=CAPTURE) as writer:
        writer.know(utc_ns=UTC_NS)
        writer.write(blocks([(15, BlockFlag.NONE)])[0])
    (first, second), _ = all_of(TracePoints(path, bench="demo", board="m4 rev. B", rate_hz=RATE_HZ), ended=True)
    assert first.measurement == "power"
    assert first.tags == {
        "bench": "demo", "board": "m4 rev. B", "run": "r1", "capture": CAPTURE["key"], "attempt": "1", "role": "mean",
        "mode": "event_sleep", "rate": "5", "supply": "3.3", "model": "dnn",
    }  # fmt: skip
    assert (first.t_ns, second.t_ns) == (UTC_NS, UTC_NS + 10 * DT_NS)
    assert (first.fields["n"], second.fields["n"]) == (10, 5)
    assert second.fields["length"] == pytest.approx(5e-3)


def test_triggered_stretches_stand_where_their_triggers_were(tmp_path: Path) -> None:
    path = tmp_path / "0001-event.parquet"
    with TraceWriter(path, capture=CAPTURE) as writer:
        writer.know(utc_ns=UTC_NS)
        for event in range(3):
            writer.write(
                Block(0, -5 * DT_NS, DT_NS, np.ones(20, np.float32), None), trigger={"event": event, "utc_ns": UTC_NS + event * 10**9}
            )
    found, _ = all_of(TracePoints(path, bench="b", board="m4", rate_hz=RATE_HZ), ended=True)
    assert [point.t_ns for point in found] == [UTC_NS + e * 10**9 + k * DT_NS for e in range(3) for k in (-5, 5)]


@pytest.mark.parametrize(("name", "attempt"), [("0003-mean", 0), ("0003-mean-2", 1), ("0012-event-11", 10)])
def test_the_file_of_a_later_attempt_says_so(name: str, attempt: int) -> None:
    assert attempt_of(Path(f"{name}.parquet")) == attempt
    assert attempt_of(Path(f"{name}.arrows")) == attempt
