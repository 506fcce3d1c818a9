"""A stored trace in one pass: what is recorded, what is lost, and what is not known is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from labd.analyse.scan import Asked, in_threads, scan_capture, scan_codes, scan_trace
from labd.errors import FileError, NotFound
from labd.scan.loops import IN_NUMPY
from labd.scan.samples import VALID, in_rows
from labd.store.catalogue import Catalogue
from labd.store.pyramid import BASE
from labd.store.pyramid_file import PyramidFile
from labd.store.trace import pyramid_path
from labd.store.trace_reader import read_trace
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block, BlockFlag
from tests.analyse.stored_run import copy_of_a_run

DT_NS = 1000


def block(seq: int, current: list[float], *, voltage: float | None = 3.0, flags: BlockFlag = BlockFlag.NONE) -> Block:
    volts = None if voltage is None else np.full(len(current), voltage, np.float32)
    return Block(seq, seq * DT_NS, DT_NS, np.array(current, np.float32), volts, flags=flags)


def recorded(folder: Path, *blocks: Block) -> Path:
    path = folder / "0000-mean.parquet"
    with TraceWriter(path) as writer:
        for one in blocks:
            writer.write(one)
    return path


def test_a_stored_capture_adds_up_to_what_its_samples_do(tmp_path: Path) -> None:
    run = copy_of_a_run(tmp_path)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        row = catalogue.captures.of(run)[2]
        path = catalogue.trace_path(row)
    trace = read_trace(path)
    found = scan_capture(tmp_path, run, row.order, Asked())
    current = np.concatenate([s.current for s in trace.stretches if s.current is not None]).astype(np.float64)
    voltage = np.concatenate([s.voltage for s in trace.stretches if s.voltage is not None]).astype(np.float64)
    assert (found.samples, found.missing, found.lost, found.voltage_from) == (trace.samples, 0, 0, "measured")
    assert found.energy_j == pytest.approx(float(np.sum(current * voltage)) * trace.dt_ns * 1e-9, rel=1e-6)
    assert found.charge_c == pytest.approx(float(np.sum(current)) * trace.dt_ns * 1e-9, rel=1e-6)
    finest = PyramidFile(pyramid_path(path)).buckets(BASE, 0, 0, trace.samples)
    assert found.current is not None
    assert (found.current.low, found.current.high) == (finest.low["current"].min(), finest.high["current"].max())


def test_blocks_are_the_finest_level_of_the_pyramid(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    current, voltage = (rng.normal(mean, 0.1, 1000).astype(np.float32) for mean in (1, 3))
    path = recorded(tmp_path, *(Block(k, k * DT_NS, DT_NS, current[k : k + 300], voltage[k : k + 300]) for k in range(0, 1000, 300)))
    finest = PyramidFile(pyramid_path(path)).buckets(BASE, 0, 0, 1000)
    unit, none, known = (np.array(one, np.float32) for one in ([1, 0, 1, 0], [-np.inf, np.inf], [np.inf, -np.inf]))
    looked = [
        IN_NUMPY.look(*rows, power=unit, watched=unit, levels=none, known=known) for rows in in_rows([(current, voltage)], IN_NUMPY.rows)
    ]
    for k, name in enumerate(("current", "voltage")):
        np.testing.assert_array_equal(np.concatenate([one.low[k] for one in looked]), finest.low[name])
        np.testing.assert_array_equal(np.concatenate([one.high[k] for one in looked]), finest.high[name])
        mean = np.concatenate([one.sums[1 - k] / one.sums[VALID] for one in looked])
        np.testing.assert_allclose(mean, finest.mean[name], rtol=1e-6)


def test_lost_samples_and_samples_without_a_number_are_counted(tmp_path: Path) -> None:
    path = recorded(tmp_path, block(0, [1, 2, np.nan]), block(10, [4], flags=BlockFlag.GAP_BEFORE))
    found = scan_trace(path, Asked())
    assert (found.samples, found.stretches, found.gaps, found.lost, found.missing) == (4, 2, 1, 7, 1)
    assert found.charge_c == pytest.approx(7e-6)
    assert found.duration_s == pytest.approx(4e-6)


def test_bursts_are_counted_and_one_at_the_end_is_cut(tmp_path: Path) -> None:
    """At 3 V: 3 W and 6 W, above 2 W."""
    path = recorded(tmp_path, block(0, [0, 1, 1, 0, 2, 2, 0, 1]))
    found = scan_trace(path, Asked(rise=2.0))
    assert found.bursts is not None
    assert (found.bursts.count, found.bursts.cut) == (2, 1)
    assert found.bursts.fall == pytest.approx(1.8)
    assert found.bursts.energy_j is not None
    assert (found.bursts.energy_j.low, found.bursts.energy_j.high) == pytest.approx((6e-6, 12e-6))


def test_without_a_voltage_energy_is_not_known_unless_it_is_told(tmp_path: Path) -> None:
    path = recorded(tmp_path, block(0, [0, 1, 1, 0], voltage=None))
    found = scan_trace(path, Asked(rise=0.5, of="current"))
    assert (found.energy_j, found.power, found.voltage, found.voltage_from) == (None, None, None, "")
    assert found.charge_c == pytest.approx(2e-6)
    assert found.bursts is not None
    assert (found.bursts.count, found.bursts.energy_j) == (1, None)
    assert scan_trace(path, Asked(voltage_v=2.0)).energy_j == pytest.approx(4e-6)
    with pytest.raises(FileError, match="power is not known"):
        scan_trace(path, Asked(rise=0.5))


def test_a_trace_that_is_being_recorded_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "0000-mean.parquet"
    with TraceWriter(path) as writer:
        writer.write(block(0, [1, 2, 3]))
        found = scan_trace(path, Asked())
    assert (found.complete, found.samples) == (False, 3)
    assert found.charge_c == pytest.approx(6e-6)
    assert scan_trace(path, Asked()).complete


def test_a_trace_without_current_is_refused(tmp_path: Path) -> None:
    volts = np.ones(3, np.float32)
    with pytest.raises(FileError, match="it has no current"):
        scan_trace(recorded(tmp_path, Block(0, 0, DT_NS, None, volts)), Asked())


def test_a_trace_without_a_number_has_no_figures(tmp_path: Path) -> None:
    found = scan_trace(recorded(tmp_path, block(0, [np.nan, np.nan])), Asked(rise=1.0))
    assert (found.samples, found.missing, found.energy_j, found.current) == (2, 2, None, None)


def test_a_capture_that_was_not_made_is_told(tmp_path: Path) -> None:
    run = copy_of_a_run(tmp_path)
    with pytest.raises(NotFound, match="capture 99"):
        scan_capture(tmp_path, run, 99, Asked())


def test_codes_are_scanned_by_their_scales(tmp_path: Path) -> None:
    np.array([[0, 1000], [10, 1000], [-10, 1000]], "<i2").tofile(tmp_path / "c.i16")
    text = 'file = "c.i16"\ndt = "1 ms"\n[current]\ngain = "1 mA"\noffset = "10 mA"\n[voltage]\ngain = "3 mV"\n'
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    done: list[tuple[int, int]] = []
    found = scan_codes(tmp_path / "c.toml", Asked(), lambda samples, of: done.append((samples, of)))
    assert found.energy_j == pytest.approx(0.03 * 3.0 * 1e-3)
    assert found.current is not None
    assert (found.current.low, found.current.mean, found.current.high) == pytest.approx((0.0, 0.01, 0.02))
    assert done == [(3, 3)]


def test_levels_that_make_no_burst_are_refused() -> None:
    with pytest.raises(FileError, match="needs a threshold"):
        Asked(fall=1.0).watch()
    with pytest.raises(FileError, match="is not below"):
        Asked(rise=1.0, fall=2.0).watch()


def test_threads_keep_the_order_and_read_no_more_than_a_few_items_ahead() -> None:
    read: list[int] = []
    seen: set[str] = set()

    def items() -> Iterator[int]:
        for number in range(20):
            read.append(number)
            yield number

    def double(number: int) -> int:
        seen.add(threading.current_thread().name)
        return 2 * number

    results = in_threads(double, items())
    for k in range(20):
        assert next(results) == 2 * k
        assert len(read) <= k + 4
    assert all(name.startswith("scan") for name in seen)
