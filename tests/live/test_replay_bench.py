"""A bench whose meter plays a file: what its file may say, and a run of it from the supply to the stored trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labd.daemon.opened import load_bench
from labd.errors import FileError
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from labd.store.trace_reader import read_trace
from tests.cli.bench_apart import changed, labd, stored
from tests.live.replay_bench import ReplayBench, write_replay_bench


@pytest.fixture
def files(tmp_path: Path) -> ReplayBench:
    return write_replay_bench(tmp_path, floor_time="500 ms", seconds=0.3)


def test_a_run_stores_what_the_file_plays(files: ReplayBench, tmp_path: Path) -> None:
    ended = labd("run", files.bench, files.plan, "--store", tmp_path / "store", "--quiet")
    assert ended.code == 0, ended.err
    _, rows = stored(tmp_path / "store")
    assert [row.state for row in rows] == [CaptureState.FINISHED] * len(rows)
    with Catalogue.open_read_only(tmp_path / "store") as catalogue:
        trace = read_trace(catalogue.trace_path(rows[0]))
    with np.load(files.recording) as played:
        (stretch,) = trace.stretches
        assert trace.dt_ns == 1000
        assert len(stretch) >= 400_000
        for name in ("current", "voltage", "marker", "digital"):
            np.testing.assert_array_equal(getattr(stretch, name), np.resize(played[name], len(stretch)))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('time = "real"', 'time = "stepped"', 'time: meter (replay) plays in real time, a stepped bench has none: write time = "real"'),
        ('time = "real"', "", "time: meter (replay) plays in real time"),
        ('roles = ["meter"]', 'roles = ["cross_check"]\norder = ["smu", "meter"]', "instruments.meter.roles: replay can be the meter only"),
        ('"replay"\nresource = "', '"replay"\nvirtual = "', "instruments.meter.virtual: replay has no instrument that could be virtual"),
        ('driver = "replay"', 'driver = "keysight_n6705c"', "a real instrument cannot be wired to virtual ones"),
    ],
)
def test_a_bench_file_that_cannot_be_played_on_is_refused(files: ReplayBench, old: str, new: str, complaint: str) -> None:
    files.bench.write_text(changed(files.bench.read_text(), old, new))
    with pytest.raises(FileError) as caught:
        load_bench(files.bench)
    assert any(complaint in problem for problem in caught.value.problems)


def test_the_bench_stays_virtual_or_real_whatever_is_played(files: ReplayBench) -> None:
    assert load_bench(files.bench).is_virtual
    text = changed(files.bench.read_text(), 'time = "real"', "")
    text = changed(text, 'virtual = "keysight_n6705c"', 'resource = "TCPIP::192.168.1.5::5025::SOCKET"')
    files.bench.write_text(changed(text, "virtual = true", 'port = "/dev/ttyACM0"'))
    bench = load_bench(files.bench)
    assert not bench.is_virtual
    assert bench.clock == "real"
