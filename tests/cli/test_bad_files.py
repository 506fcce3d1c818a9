"""Files and arguments that are wrong: one line a problem, naming file, key, value and what would be right; the documented exit code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labd import resources
from labd.cli.main import run_command
from labd.errors import WrongState
from labd.store.lock import bench_lock
from tests.cli.bench_apart import changed, labd

BENCH, BOARD, PLAN = "benches/demo.toml", "boards/virtual-m4.toml", "plans/demo.toml"


@dataclass(frozen=True, slots=True)
class Wrong:
    """One mistake in one file. told: what the line must name, in this order."""

    old: str
    new: str
    told: tuple[str, ...]
    file: str = BENCH


MISTAKES = {
    "an unknown key": Wrong("off_mode =", "of_mode =", ("limits.of_mode", "no such key", "did you mean off_mode")),
    "a wrong unit": Wrong('voltage = "3.6 V"', 'voltage = "3.6 A"', ("limits.voltage", 'a voltage such as "3.3 V"', '"3.6 A"')),
    "a number without a unit": Wrong('voltage = "3.6 V"', "voltage = 3.6", ("limits.voltage", "3.3 V", "3.6")),
    "a limit above the board's": Wrong(
        'voltage = "3.6 V"\ncurrent', 'voltage = "3.7 V"\ncurrent', ("limits.voltage", "at most", "3.6 V", "supply_max", "3.7 V")
    ),
    "a negative rate": Wrong('"0.5 /s"', '"-0.5 /s"', ("rates[1]", "0 /s or more", "-0.5 /s"), PLAN),
    "a rate above what the board can": Wrong('"35 /s"', '"36 /s"', ("rates[6]", "at most 35.71 /s", "36 /s", "longest_event"), PLAN),
    "a supply above the limit": Wrong('supply = ["3.0 V"]', 'supply = ["3.7 V"]', ("supply[0]", "3.7 V", "3.6 V", "limits.voltage"), PLAN),
    "no port": Wrong("virtual = true ", "# ", ("links.uart.port", "required", "/dev/ttyACM0")),
    "a line above the supply": Wrong(
        'io_level = "3.0 V"', 'io_level = "3.6 V"', ("links.uart.isolation", "3.6 V", "at least 3.3 V", "3 V", "level shifter")
    ),
    "not TOML": Wrong("schema = 1", "schema = = 1", ("not TOML", "line 2")),
    "an unknown driver": Wrong('driver = "keysight_n6705c"', 'driver = "keysight_n6705b"', ("instruments.smu.driver", "did you mean")),
    "an unknown virtual instrument": Wrong('virtual = "keysight_n6705c"', 'virtual = "keithley"', ("instruments.smu.virtual", "keithley")),
    "an unknown option": Wrong("fire_pin = 3", "firepin = 3", ("instruments.smu.options.firepin", "did you mean", "fire_pin")),
    "an option out of range": Wrong("fire_pin = 3", "fire_pin = 9", ("instruments.smu.options", "fire_pin", "9", "1 to 7")),
    "a board file that is not there": Wrong(
        "../boards/virtual-m4.toml", "../boards/no.toml", ("board", "boards/no.toml", "cannot be read")
    ),
    "a model the board lacks": Wrong('models = ["dnn"]', 'models = ["dnn", "dmn"]', ("models[1]", "dmn", "did you mean"), PLAN),
    "a mode that does not exist": Wrong('"event_sleep"', '"event_slip"', ("modes[1]", "event_slip", "event_sleep"), PLAN),
    "no floor": Wrong('"0 /s", ', "", ("rates", '"0 /s"'), PLAN),
    "a wrong unit in the board": Wrong('clock = "64 MHz"', 'clock = "64 MV"', ("clock", "MHz", "64 MV"), BOARD),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return Path(shutil.copytree(resources.path("fixtures"), tmp_path / "files"))


def run(files: Path) -> int:
    return run_command(["run", str(files / BENCH), str(files / PLAN), "--store", str(files / "store")])


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("labd: error: ")
    return lines[0]


def assert_told(line: str, told: tuple[str, ...]) -> None:
    place = 0
    for part in told:
        found = line.find(part, place)
        assert found >= 0, f"{part!r} is not told (in this order): {line}"
        place = found


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_a_file_is_one_line(files: Path, mistake: Wrong, capfd: pytest.CaptureFixture[str]) -> None:
    path = files / mistake.file
    path.write_text(changed(path.read_text(), mistake.old, mistake.new))
    assert run(files) == 2
    assert_told(one_line(capfd.readouterr().err), (str(path), *mistake.told))
    assert not (files / "store").exists()


@pytest.mark.compiler
def test_a_limit_above_the_instruments_is_refused_before_anything_is_switched_on(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = files / BENCH
    text = changed(path.read_text(), 'current = "150 mA"', 'current = "5 A"')
    path.write_text(changed(text, 'inrush = "200 mA"', 'inrush = "5 A"'))
    assert run(files) == 2
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 2  # current and inrush
    assert_told(told[0], (str(path), "limits.current", "at most 3 A", "instruments.smu (keysight_n6705c)", "5 A"))


def test_several_mistakes_are_a_line_each(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = files / BENCH
    path.write_text(changed(changed(path.read_text(), '"3.6 V"', '"3.6 A"'), 'mains = "50 Hz"', 'mains = "50 V"'))
    assert run(files) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"labd: error: {path}: ") for line in lines)


@pytest.mark.parametrize("argument", ["missing.toml", "folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, argument: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    assert run_command(["check", str(tmp_path / argument), "--store", str(tmp_path / "store")]) == 2
    assert_told(one_line(capfd.readouterr().err), (str(tmp_path / argument), "cannot be read"))


def test_bytes_that_are_no_text_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bench.toml"
    path.write_bytes(b"schema = 1\nname = '\xff\xfe\x00'\n")
    assert run_command(["check", str(path), "--store", str(tmp_path / "store")]) == 2
    assert_told(one_line(capfd.readouterr().err), (str(path),))


def test_a_real_process_says_it_the_same_way(files: Path) -> None:
    path = files / BENCH
    path.write_text(changed(path.read_text(), "off_mode =", "of_mode ="))
    ended = labd("run", path, files / PLAN, "--store", files / "store")
    assert ended.code == 2
    assert ended.out == ""
    assert_told(one_line(ended.err), (str(path), "limits.of_mode"))


@pytest.mark.parametrize("command", ["show", "report", "export", "analyse"])
def test_a_run_that_is_not_there_is_not_found(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command([command, "20260101-000000-nope-0000", "--store", str(tmp_path)]) == 9
    one_line(capfd.readouterr().err)


@pytest.fixture
def held(files: Path) -> Iterator[None]:
    with bench_lock(files / "store", "demo"):
        yield


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_bench_that_somebody_uses_is_told_with_who(files: Path, command: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [str(files / BENCH)] + ([str(files / PLAN)] if command == "run" else [])
    assert run_command([command, *arguments, "--store", str(files / "store")]) == WrongState.exit_code
    assert_told(one_line(capfd.readouterr().err), ("'demo'", f"process {os.getpid()}"))


def test_a_store_that_cannot_be_written_is_named(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (files / "file").write_text("")
    assert run_command(["run", str(files / BENCH), str(files / PLAN), "--store", str(files / "file")]) == 8
    assert_told(one_line(capfd.readouterr().err), (str(files / "file"),))


def test_without_a_compiler_the_line_says_what_to_install(files: Path, tmp_path: Path) -> None:
    bare = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    ended = labd("run", files / BENCH, files / PLAN, "--store", files / "store", env=bare)
    assert ended.code == 3
    assert_told(one_line(ended.err), ("no C compiler", "install", "gcc"))


@pytest.mark.parametrize("arguments", [["run"], ["frobnicate"], ["--frobnicate"], ["run", "a", "b", "c"], ["check", "--frobnicate", "x"]])
def test_wrong_usage_is_one_line_that_names_the_help(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(arguments) == 2
    assert "--help)" in one_line(capfd.readouterr().err)
