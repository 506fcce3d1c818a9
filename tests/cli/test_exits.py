"""Every way out of a run: labd ends in time, the outputs are off as the instrument sees it, and what was captured is readable."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labd.records import CaptureState
from labd.store.rows import RunState
from labd_instruments import loader
from tests.cli.bad_wire import bad_wire
from tests.cli.bench_apart import Bench, Ended, Running, bench_apart, measuring, samples, stored, write_plan

pytestmark = pytest.mark.compiler

OFF_V = 0.1  # limits.off_voltage of the demo bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_apart(tmp_path_factory.mktemp("apart")) as running:
        yield running


@pytest.fixture
def run(bench: Bench, tmp_path: Path) -> Iterator[Running]:
    with measuring(bench.file, write_plan(tmp_path / "plan.toml"), tmp_path / "store") as process:
        yield process


def assert_off(bench: Bench) -> None:
    """By the instrument and by a probe on the board."""
    assert not bench.output_on()
    assert bench.board()["voltage_v"] < OFF_V


def assert_one_line(ended: Ended) -> None:
    assert len(ended.lines) == 1, ended.err
    assert ended.err.startswith("labd: error: ")


def assert_kept(run: Running, *, at_least: int, state: CaptureState, run_state: RunState) -> None:
    """The capture that was under way has its state, and its samples can be read."""
    row, captures = stored(run.store)
    assert row.state is run_state, row.error
    begun = [capture for capture in captures if capture.state is not CaptureState.PLANNED]
    assert [capture.state for capture in begun] == [state]
    assert samples(run.trace(begun[0])) >= at_least


@contextmanager
def another_client(bench: Bench) -> Iterator[Callable[[str], None]]:
    """Somebody else who meddles with the instrument."""
    _, host, port, _ = bench.resource.split("::")
    with socket.create_connection((host, int(port))) as end:
        yield lambda text: end.sendall(text.encode() + b"\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_with_the_output_off_and_the_samples_kept(bench: Bench, run: Running, number: signal.Signals) -> None:
    seen = samples(run.until_recording())
    assert bench.output_on()
    run.signal(number)
    ended = run.ended()
    assert ended.code == 130, ended.err
    assert_one_line(ended)
    assert_off(bench)
    assert_kept(run, at_least=seen, state=CaptureState.INTERRUPTED, run_state=RunState.INTERRUPTED)


def test_a_second_signal_does_not_shorten_the_way_out(bench: Bench, run: Running) -> None:
    run.until_recording()
    run.signal(signal.SIGTERM)
    run.signal(signal.SIGINT)
    run.signal(signal.SIGTERM)
    assert run.ended().code == 130
    assert_off(bench)


def test_sigterm_while_the_instrument_hangs_in_a_read_still_switches_off(bench: Bench, run: Running) -> None:
    seen = samples(run.until_recording())
    bench.hang(on=True)
    try:
        run.signal(signal.SIGTERM)
        ended = run.ended()
    finally:
        bench.hang(on=False)
    assert ended.code == 130, ended.err
    assert_off(bench)
    assert_kept(run, at_least=seen, state=CaptureState.INTERRUPTED, run_state=RunState.INTERRUPTED)


def test_an_instrument_that_stops_answering_fails_the_run_by_name(bench: Bench, run: Running) -> None:
    seen = samples(run.until_recording())
    bench.hang(on=True)
    try:
        ended = run.ended()
    finally:
        bench.hang(on=False)
    assert ended.code == 3, ended.err
    assert_one_line(ended)
    assert "smu" in ended.err or "TCPIP" in ended.err
    assert_off(bench)
    assert_kept(run, at_least=seen, state=CaptureState.FAILED, run_state=RunState.FAILED)


def test_a_bench_that_dies_in_mid_capture_is_named_and_not_called_off(tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "plan.toml")
    with bench_apart(tmp_path) as bench, measuring(bench.file, plan, tmp_path / "store") as run:
        seen = samples(run.until_recording())
        bench.process.kill()
        ended = run.ended()
        assert ended.code == 6, ended.err
        assert_one_line(ended)
        assert "cut its supply by hand" in ended.err
        assert_kept(run, at_least=seen, state=CaptureState.FAILED, run_state=RunState.FAILED)


def test_a_cable_that_is_pulled_fails_the_run_and_a_second_session_switches_off(bench: Bench, tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "plan.toml")
    with bad_wire(bench.resource) as wire:
        file = bench.file_with(tmp_path / "bench.toml", bench.resource, wire.resource)
        with measuring(file, plan, tmp_path / "store") as run:
            seen = samples(run.until_recording())
            wire.cut()
            ended = run.ended()
            assert ended.code == 3, ended.err
            assert_one_line(ended)
            assert_off(bench)
            assert_kept(run, at_least=seen, state=CaptureState.FAILED, run_state=RunState.FAILED)


def test_an_output_that_ignores_off_is_told_with_its_own_exit_code(bench: Bench, tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "plan.toml")
    with bad_wire(bench.resource) as wire:
        file = bench.file_with(tmp_path / "bench.toml", bench.resource, wire.resource)
        with measuring(file, plan, tmp_path / "store") as run:
            run.until_recording()
            wire.swallow = b"OUTP OFF"
            run.signal(signal.SIGTERM)
            ended = run.ended()
    try:
        assert wire.swallowed >= 2  # the measuring session's, and the second session's
        assert bench.output_on()
        assert ended.code == 6, ended.err
        assert_one_line(ended)
        assert "cut its supply by hand" in ended.err
    finally:
        loader.panic_off("keysight_n6705c", bench.resource)
    assert not bench.output_on()


def test_a_supply_that_was_on_for_its_longest_time_is_switched_off(bench: Bench, tmp_path: Path) -> None:
    file = bench.file_with(tmp_path / "bench.toml", 'on_time = "4 h"', 'on_time = "1 s"')
    with measuring(file, write_plan(tmp_path / "plan.toml"), tmp_path / "store") as run:
        run.until_recording()
        ended = run.ended()
        assert ended.code == 5, ended.err
        assert_one_line(ended)
        assert "limits.on_time" in ended.err
        assert_off(bench)
        assert_kept(run, at_least=1, state=CaptureState.INTERRUPTED, run_state=RunState.FAILED)


def test_a_board_that_browns_out_fails_its_capture_by_name_and_is_started_again(bench: Bench, tmp_path: Path) -> None:
    with measuring(bench.file, write_plan(tmp_path / "plan.toml", floor_time="1 s"), tmp_path / "store") as run:
        run.until_recording()
        with another_client(bench) as send:
            send("VOLT 1.5,(@1)")
            run.until(lambda: bench.board()["state"] == "unpowered" or None)
            send("VOLT 3.0,(@1)")
        failed = run.until_failed()
        assert failed.error.startswith("brown-out: ")  # as the error lines have it
        assert "rebooted" in failed.error
        assert samples(run.trace(failed)) > 0
        run.until_recording()  # the next capture
        run.signal(signal.SIGTERM)
        ended = run.ended()
        assert ended.code == 130
        assert sum(line.startswith(f"labd: failed: {failed.key}: brown-out: ") for line in ended.lines) == 1
        assert_off(bench)
