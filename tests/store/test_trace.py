"""Traces: what is acknowledged can be read, whatever happens to the process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.errors import NotFound, StoreError
from labd.store import parquet, trace_writer
from labd.store.parquet import finish_trace
from labd.store.pyramid_file import PyramidFile
from labd.store.trace import FlagSpan, Trace, pyramid_path, stream_path
from labd.store.trace_reader import read_trace
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block, BlockFlag

ROOT = Path(__file__).parents[2]
DT_NS = 1000


def _block(seq: int, n: int = 5, *, flags: BlockFlag = BlockFlag.NONE, t0_ns: int | None = None, marker: bool = False) -> Block:
    """Sample value = sample number, so that any shift shows."""
    values = np.arange(seq, seq + n, dtype=np.float32)
    return Block(
        seq=seq,
        t0_ns=seq * DT_NS if t0_ns is None else t0_ns,
        dt_ns=DT_NS,
        current=values,
        voltage=values + 0.5,
        marker=-values if marker else None,
        flags=flags,
    )


def _currents(trace: Trace) -> list[list[float]]:
    return [[] if s.current is None else s.current.tolist() for s in trace.stretches]


def test_a_finished_trace_reads_back_with_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "run" / "0000-mean.parquet"
    with TraceWriter(path, capture={"key": "a", "range_a": 0.1}) as writer:
        assert writer.write(_block(0, marker=True)) == 5
        assert writer.write(_block(5, marker=True)) == 10
    trace = read_trace(path)
    assert trace.complete
    assert trace.path == path
    assert trace.capture == {"key": "a", "range_a": 0.1}
    assert (trace.dt_ns, trace.samples) == (DT_NS, 10)
    (stretch,) = trace.stretches
    assert stretch.current is not None
    assert stretch.voltage is not None
    assert stretch.marker is not None
    assert stretch.digital is None
    np.testing.assert_array_equal(stretch.current, np.arange(10))
    np.testing.assert_array_equal(stretch.voltage, np.arange(10) + 0.5)
    np.testing.assert_array_equal(stretch.marker, -np.arange(10))
    np.testing.assert_allclose(stretch.time_s(), np.arange(10) * 1e-6)
    assert stretch.current.dtype == np.float32
    assert not stretch.current.flags.writeable
    assert not stream_path(path).exists()


def test_digital_lines_and_over_range_samples_survive(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    values = np.array([1, np.nan, 3], dtype=np.float32)
    with TraceWriter(path) as writer:
        block = Block(0, 0, 10, current=values, voltage=None, digital=np.array([0, 255, 3], dtype=np.uint8), flags=BlockFlag.OVER_RANGE)
        writer.write(block)
    (stretch,) = read_trace(path).stretches
    assert stretch.current is not None
    assert stretch.digital is not None
    np.testing.assert_array_equal(stretch.current, values)
    np.testing.assert_array_equal(stretch.digital, [0, 255, 3])
    assert stretch.voltage is None
    assert stretch.flags is BlockFlag.OVER_RANGE


@pytest.mark.parametrize(
    "second",
    [_block(5, flags=BlockFlag.GAP_BEFORE), _block(7), _block(5, t0_ns=5 * DT_NS + 1)],
    ids=["gap flag", "seq jumps", "time jumps"],
)
def test_whatever_does_not_continue_begins_a_stretch(tmp_path: Path, second: Block) -> None:
    path = tmp_path / "x.parquet"
    with TraceWriter(path) as writer:
        writer.write(_block(0))
        writer.write(second)
        assert len(writer.stretches) == 2
    trace = read_trace(path)
    assert [len(s) for s in trace.stretches] == [5, 5]
    assert trace.stretches[1].t0_ns == second.t0_ns
    assert trace.stretches[1].facts.seq == second.seq
    np.testing.assert_allclose(trace.stretches[1].time_s()[0], second.t0_ns * 1e-9)


def test_each_trigger_is_a_stretch_with_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with TraceWriter(path) as writer:
        for event in range(3):
            writer.write(_block(0, t0_ns=-2 * DT_NS), trigger={"event": event})
    trace = read_trace(path)
    assert [s.facts.trigger for s in trace.stretches] == [{"event": 0}, {"event": 1}, {"event": 2}]
    assert [s.t0_ns for s in trace.stretches] == [-2 * DT_NS] * 3


def test_flags_keep_their_place_in_the_stretch(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    flags = [BlockFlag.NONE, BlockFlag.CLIPPED, BlockFlag.CLIPPED, BlockFlag.NONE, BlockFlag.OVER_RANGE]
    with TraceWriter(path) as writer:
        for k, flag in enumerate(flags):
            writer.write(_block(5 * k, flags=flag))
        assert writer.flags == BlockFlag.CLIPPED | BlockFlag.OVER_RANGE
    (stretch,) = read_trace(path).stretches
    assert stretch.facts.spans == (FlagSpan(5, 14, BlockFlag.CLIPPED), FlagSpan(20, 24, BlockFlag.OVER_RANGE))


def test_a_block_that_does_not_fit_is_refused_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with TraceWriter(path) as writer:
        writer.write(_block(0))
        with pytest.raises(StoreError, match="dt 7 ns in a trace with dt 1000 ns"):
            writer.write(Block(5, 5000, 7, current=np.zeros(1, np.float32), voltage=None))
        with pytest.raises(StoreError, match="with current in a trace with current, voltage"):
            writer.write(Block(5, 5000, DT_NS, current=np.zeros(1, np.float32), voltage=None))
    with pytest.raises(StoreError, match="closed"):
        writer.write(_block(5))
    assert _currents(read_trace(path)) == [[0, 1, 2, 3, 4]]


def test_an_existing_trace_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with TraceWriter(path) as writer:
        writer.write(_block(0))
    with pytest.raises(StoreError, match="exists already"), TraceWriter(path):
        pass


def test_an_exception_while_recording_leaves_a_readable_trace(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    writer = TraceWriter(path)
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(writer)
    assert read_trace(path).samples == 5


def _write_and_fail(writer: TraceWriter) -> None:
    with writer:
        writer.write(_block(0))
        raise ZeroDivisionError


def test_nothing_recorded_leaves_no_file(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "x.parquet"):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotFound):
        read_trace(tmp_path / "x.parquet")


def test_a_recording_can_be_read_while_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with TraceWriter(path) as writer:
        writer.write(_block(0))
        so_far = read_trace(path)
        assert not so_far.complete
        assert _currents(so_far) == [[0, 1, 2, 3, 4]]


class LateStop(threading.Event):
    """An end that comes just when the wait for it has run out."""

    syncer: trace_writer._Syncer

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        self.syncer._dirty.set()
        return False


def test_an_end_at_the_moment_of_a_sync_ends_the_thread(tmp_path: Path) -> None:
    """What wakes it for the end must not be taken for the write before."""
    with (tmp_path / "file").open("wb") as file:
        syncer = trace_writer._Syncer(file.fileno(), tmp_path)
        syncer._stop = stop = LateStop()
        stop.syncer = syncer
        syncer.written()
        syncer._thread.join(20)
        assert not syncer._thread.is_alive()


def test_a_block_is_synced_though_no_other_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    monkeypatch.setattr(trace_writer, "SYNC_AFTER_S", 0.01)
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.set())
    with TraceWriter(tmp_path / "x.parquet") as writer:
        writer.write(_block(0))
        assert synced.wait(20)


def test_a_disk_that_refuses_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be written"), TraceWriter(tmp_path / "run" / "x.parquet") as writer:
        writer.write(_block(0))


RECORD = """
import sys
import numpy as np
from pathlib import Path
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block
with TraceWriter(Path(sys.argv[1]), capture={"key": "killed"}) as writer:
    seq = 0
    while True:
        values = np.arange(seq, seq + 500, dtype=np.float32)
        acknowledged = writer.write(Block(seq, seq * 1000, 1000, current=values, voltage=values))
        print(acknowledged, flush=True)
        seq += 500
"""


def test_kill_9_loses_no_acknowledged_block(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'instruments'}"}
    with subprocess.Popen([sys.executable, "-c", RECORD, str(path)], stdout=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout is not None
        for _ in range(40):
            child.stdout.readline()
        child.kill()
        acknowledged = max([int(line) for line in child.stdout.read().split("\n")[:-1] if line], default=20_000)
        child.wait(20)
    torn = read_trace(path)
    assert not torn.complete
    assert torn.samples >= acknowledged
    assert torn.capture == {"key": "killed"}
    finish_trace(path)
    repaired = read_trace(path)
    assert repaired.path == path
    assert not repaired.complete
    (stretch,) = repaired.stretches
    assert stretch.current is not None
    np.testing.assert_array_equal(stretch.current, np.arange(torn.samples, dtype=np.float32))
    assert not stream_path(path).exists()
    finish_trace(path)  # harmless to repeat


@pytest.fixture(scope="module")
def recorded() -> bytes:
    """The stream of three blocks, as it is on disk before conversion."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        with TraceWriter(path) as writer:
            for k in range(3):
                writer.write(_block(5 * k))
            return stream_path(path).read_bytes()


def _read_if_whole(path: Path) -> Trace | None:
    try:
        return read_trace(path)
    except StoreError:
        return None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_stream_cut_anywhere_reads_to_its_last_whole_block(recorded: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(recorded)))
    zeros = data.draw(st.booleans())  # what a file system may leave after a power cut
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        stream_path(path).write_bytes(recorded[:cut] + (bytes(len(recorded) - cut) if zeros else b""))
        trace = _read_if_whole(path)
        if trace is None:
            assert cut < 8 + int.from_bytes(recorded[4:8], "little")  # not even the head was whole
            return
        samples = [value for stretch in _currents(trace) for value in stretch]
        assert samples == list(range(len(samples)))
        assert len(samples) % 5 == 0
        assert not trace.complete or len(samples) == 15


def test_a_conversion_that_dies_half_way_leaves_the_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.parquet"

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    writer = TraceWriter(path).__enter__()
    writer.write(_block(0))
    monkeypatch.setattr(pq, "ParquetWriter", full)
    with pytest.raises(StoreError, match=r"No space left on device.*x\.arrows holds the samples"):
        writer.close()
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["x.arrows"]
    assert read_trace(path).complete
    finish_trace(path)
    assert read_trace(path).samples == 5


def test_a_parquet_file_that_reads_back_differently_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.parquet"
    other = tmp_path / "other.parquet"
    with TraceWriter(other) as writer:
        writer.write(_block(1))
    writer = TraceWriter(path).__enter__()
    writer.write(_block(0))
    really = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda part: really(other))
    with pytest.raises(StoreError, match="did not read back"):
        writer.close()
    assert stream_path(path).exists()
    assert not path.exists()


def test_another_program_sees_plain_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with TraceWriter(path) as writer:
        writer.write(_block(0))
    file = pq.ParquetFile(path)
    assert file.schema_arrow.names == ["stretch", "index", "current", "voltage", "marker", "digital"]
    assert file.metadata.row_group(0).column(2).compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in file.metadata.row_group(0).column(2).encodings
    assert file.schema_arrow.metadata[b"labd.dt_ns"] == b"1000"


def test_row_groups_are_full_whatever_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", 100)
    lengths, first = [30, 90, 1, 250, 29, 77], 0
    with TraceWriter(tmp_path / "x.parquet") as writer:
        for length in lengths:
            writer.write(_block(first, length))
            first += length
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [100, 100, 100, 100, 77]
    assert file.read().column("index").to_pylist() == list(range(sum(lengths)))


def test_files_of_others_are_refused_by_name(tmp_path: Path) -> None:
    table = pa.table({"a": [1]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(StoreError, match="not one of labd's traces"):
        read_trace(tmp_path / "x.parquet")
    (tmp_path / "y.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(StoreError, match=r"y\.parquet: cannot be read"):
        read_trace(tmp_path / "y.parquet")


def _reference(values: np.ndarray[tuple[int], np.dtype[np.float32]], size: int) -> list[tuple[float, float, float]]:
    parts = [values[k : k + size] for k in range(0, len(values), size)]
    return [(float(np.nanmin(p)), float(np.nanmax(p)), float(np.nanmean(p.astype(np.float64)))) for p in parts]


def test_the_pyramid_agrees_with_a_direct_reduction(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    random = np.random.default_rng(1)
    lengths = [70_001, 300]
    columns = [random.normal(size=n).astype(np.float32) for n in lengths]
    columns[0][[5, 6, 69_000]] = np.nan
    with TraceWriter(path) as writer:
        for stretch, values in enumerate(columns):
            for start in range(0, len(values), 1111):
                part = values[start : start + 1111]
                writer.write(Block(start, start * DT_NS, DT_NS, current=part, voltage=None), new_stretch=start == 0)
            assert len(writer.stretches) == stretch + 1
    file = PyramidFile(pyramid_path(path))
    assert file.sizes == [256, 4096, 65536, 1048576]
    for size in file.sizes:
        for stretch, values in enumerate(columns):
            level = file.buckets(size, stretch, 0, len(values))
            low, high, mean = zip(*_reference(values, level.size), strict=True)
            assert (level.low["current"] == low).all()
            assert (level.high["current"] == high).all()
            np.testing.assert_allclose(level.mean["current"], mean, rtol=0, atol=1e-6)  # sums of 256 in single precision
            assert level.length.sum() == len(values)
            assert list(level.mean) == ["current"]


def test_both_files_after_a_kill_between_rename_and_removal_are_one_trace(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    writer = TraceWriter(path).__enter__()
    writer.write(_block(0))
    shutil.copy(stream_path(path), tmp_path / "kept")
    writer.close()
    (tmp_path / "kept").rename(stream_path(path))
    assert read_trace(path).path == path
    finish_trace(path)
    assert not stream_path(path).exists()
