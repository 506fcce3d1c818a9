"""What an instrument refuses or loses ends a run by name, with the instrument's own codes and the documented exit code."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from labd.records import CaptureState
from labd.store.rows import RunState
from tests.cli.bad_wire import bad_wire
from tests.cli.bench_apart import Bench, bench_apart, measuring, samples, stored, write_plan

pytestmark = pytest.mark.compiler

RECORD = 8  # bytes: current and voltage as float32


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_apart(tmp_path_factory.mktemp("apart")) as running:
        yield running


@pytest.mark.parametrize(
    ("pattern", "replacement", "code"),
    [
        pytest.param(rb"SENS:ELOG:PER ", b"SENS:ELOG:PERIODE ", "-113", id="wrong header"),
        pytest.param(rb"SENS:ELOG:PER [^,]*,", b"SENS:ELOG:PER 1E9,", "-222", id="value out of range"),
        pytest.param(rb"TRIG:ELOG:SOUR BUS", b"TRIG:ELOG:SOUR TRAM", "-224", id="no such choice"),
        pytest.param(rb"(INIT|TRIG):ELOG [^\n]*", b"", "-230", id="log fetched before it was initiated"),
    ],
)
def test_what_the_instrument_refuses_ends_the_run_with_its_code(
    bench: Bench, tmp_path: Path, pattern: bytes, replacement: bytes, code: str
) -> None:
    with bad_wire(bench.resource) as wire:
        wire.rewrite = re.compile(pattern), replacement
        file = bench.file_with(tmp_path / "bench.toml", bench.resource, wire.resource)
        with measuring(file, write_plan(tmp_path / "plan.toml"), tmp_path / "store") as run:
            ended = run.ended(within_s=30)
    assert ended.code == 3, ended.err
    assert len(ended.lines) == 1, ended.err
    assert "smu" in ended.err
    assert code in ended.err
    assert not bench.output_on()
    row, captures = stored(tmp_path / "store")
    assert row.state is RunState.FAILED
    assert code in row.error
    assert CaptureState.FAILED in {capture.state for capture in captures}


def test_records_that_are_missing_from_the_log_end_the_run_as_lost(bench: Bench, tmp_path: Path) -> None:
    with measuring(bench.file, write_plan(tmp_path / "plan.toml"), tmp_path / "store") as run:
        run.until_recording()
        run.signal(signal.SIGSTOP)
        steal_records(bench, 2000)
        run.signal(signal.SIGCONT)
        ended = run.ended()
        assert ended.code == 7, ended.err
        assert len(ended.lines) == 1, ended.err
        assert re.search(r"smu: .*(missing|lost)", ended.err)
        assert not bench.output_on()
        row, captures = stored(run.store)
        assert row.state is RunState.FAILED
        (failed,) = [capture for capture in captures if capture.state is CaptureState.FAILED]
        assert samples(run.trace(failed)) > 0


def steal_records(bench: Bench, count: int) -> None:
    """Somebody else fetches this many records of the same log, 0.6 s of it: more than what a host's clock cannot tell."""
    _, host, port, _ = bench.resource.split("::")
    with socket.create_connection((host, int(port)), timeout=5) as end, end.makefile("rwb", buffering=0) as stream:
        taken = 0
        while taken < count * RECORD:
            stream.write(b"FETC:ELOG? 1000,(@1)\n")
            digits = int(read(stream, 2)[1:])
            length = int(read(stream, digits))
            read(stream, length + 1)
            taken += length


def read(stream: socket.SocketIO, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += stream.read(count - len(data)) or b""
    return data
