"""`labd init` writes files that `labd check` passes, and check tells what works on a bench."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pyvisa

from labd import bench_file
from labd.cli.init import TEMPLATES
from labd.cli.main import run_command
from labd.store.lock import BenchBusy, bench_lock
from tests.cli.bench_apart import EXIT_S, LABD, bench_apart, labd

TESTS = (
    "smu",
    "smu round trip",
    "zero",
    "sample rate",
    "discharged",
    "sense leads and supply",
    "board",
    "back-feed asleep",
    "trigger and marker lines",
    "outputs",
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    assert run_command(["init", str(tmp_path / "bench pc")]) == 0
    return tmp_path / "bench pc"


@contextmanager
def holding(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`labd check --hold` once all its tests are done, and the address it printed."""
    process = subprocess.Popen(
        [*LABD, "check", str(folder / "benches/demo.toml"), "--hold", "--store", str(folder / "store")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = ""
        for line in process.stdout:
            address = address or line.split()[-1]
            if "holding" in line:
                break
        yield address, process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_init_writes_every_template_and_says_what_to_do_next(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["init", str(tmp_path)]) == 0
    out = capfd.readouterr().out
    assert [name for name in TEMPLATES if not (tmp_path / name).is_file() or str(tmp_path / name) not in out] == []
    assert f"labd check {tmp_path / 'benches/demo.toml'}" in out


@pytest.mark.parametrize(("bench", "plan"), [("demo", "demo"), ("n6705c", "first")])
def test_every_written_file_reads_without_a_problem(written: Path, bench: str, plan: str) -> None:
    bench_file.check_plan(bench_file.load_bench(written / f"benches/{bench}.toml"), bench_file.load_plan(written / f"plans/{plan}.toml"))


def test_init_leaves_files_that_are_there_alone(written: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (written / TEMPLATES[0]).write_text("mine")
    assert run_command(["init", str(written)]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == len(TEMPLATES)
    assert all("--force" in line for line in lines)
    assert (written / TEMPLATES[0]).read_text() == "mine"
    assert run_command(["init", str(written), "--force"]) == 0
    assert (written / TEMPLATES[0]).read_text() != "mine"


@pytest.mark.compiler
def test_check_of_the_written_demo_bench_passes_every_test_and_prints_the_address(written: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert run_command(["check", str(written / "benches/demo.toml"), "--store", str(written / "store")]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert [line for line in lines if not line.startswith(("ok ", "-    board clock: the time of this virtual bench is stepped"))] == []
    assert [name for name in TESTS if not any(re.match(rf"ok +{name}: ", line) for line in lines)] == []
    assert re.search(r"any VISA client can open TCPIP::127\.0\.0\.1::\d+::SOCKET", out)


@pytest.mark.compiler
def test_check_holds_the_address_open_for_a_visa_client_until_it_is_told_to_end(written: Path) -> None:
    with holding(written) as (address, process):
        client = pyvisa.ResourceManager("@py").open_resource(address, read_termination="\n", write_termination="\n")
        try:
            assert "N6705C" in client.query("*IDN?")  # type: ignore[attr-defined]
        finally:
            client.close()
        with pytest.raises(BenchBusy), bench_lock(written / "store", "demo"):
            pass
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=EXIT_S)
        assert process.returncode == 0, err
        assert "outputs: off, verified" in out


@pytest.mark.compiler
def test_an_instrument_that_is_not_there_is_named_with_its_address(written: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bench = written / "benches/n6705c.toml"
    text = bench.read_text()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    resource = f"TCPIP::127.0.0.1::{port}::SOCKET"
    bench.write_text(re.sub(r'resource = "[^"]*"', f'resource = "{resource}"', text))
    capfd.readouterr()
    assert run_command(["check", str(bench), "--store", str(written / "store")]) == 3
    err = capfd.readouterr().err.splitlines()
    assert len(err) == 1
    assert resource in err[0]


@pytest.mark.compiler
def test_check_of_a_bench_whose_board_is_on_no_such_port_names_the_port(tmp_path: Path) -> None:
    with bench_apart(tmp_path) as bench:
        file = tmp_path / "other.toml"
        file.write_text(re.sub(r'port = "[^"]*"', 'port = "/dev/nothing"', bench.file.read_text()))
        ended = labd("check", file, "--store", tmp_path / "store")
        assert ended.code == 5, ended.err
        assert any(line.startswith("FAIL") and "/dev/nothing" in line for line in ended.out.splitlines())
        assert not bench.output_on()
