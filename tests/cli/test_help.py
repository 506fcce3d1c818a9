"""`--help` of labd and of each of its subcommands, and the list of drivers."""

from __future__ import annotations

import pytest

from labd.cli.main import run_command
from labd.cli.reference import commands, parameters
from labd_instruments.loader import available
from labd_instruments.unsupported import UNSUPPORTED
from tests.cli.bench_apart import labd

COMMANDS = [name for name, _ in commands()]


def test_help_lists_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--help"]) == 0
    text = capfd.readouterr().out
    assert [command for command in COMMANDS if f" {command.split()[0]} " not in text] == []


def test_help_works_as_a_process_of_its_own() -> None:
    ended = labd("--help")
    assert ended.code == 0
    assert ended.err == ""
    assert "uncertainty" in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_a_sentence_on_every_option(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command([*command.split(), "--help"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "Usage:" in out
    assert command in out


def test_every_command_prints_json_where_it_is_asked_to() -> None:
    silent = [name for name, function in commands() if "as_json" not in [parameter for parameter, *_ in parameters(function)]]
    assert silent == []


def test_without_arguments_labd_shows_its_help(capfd: pytest.CaptureFixture[str]) -> None:
    run_command([])
    out, err = capfd.readouterr()
    assert "Usage:" in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("more", [[], ["--options"]])
def test_drivers_are_listed_with_what_they_can_and_on_what_evidence(more: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["drivers", *more]) == 0
    out = capfd.readouterr().out
    for info in available():
        assert f"{info.name}: {info.title}" in out
        assert str(info.evidence) in out
        for option in info.options:
            assert (f"option {option.name} = " in out) == bool(more)
        assert not info.on_the_wire or f"tried with its virtual instrument over {', '.join(info.on_the_wire)}" in out
    for one in UNSUPPORTED:
        assert f"no driver: {one.name}: {one.lacking}" in out
    assert out.rstrip().splitlines()[-1].startswith("* USBTMC and GPIB are not tried on the wire")
