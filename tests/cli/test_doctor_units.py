"""`labd doctor` says what is wrong before anybody measures; `labd units` writes services that systemd takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labd import resources
from labd.bench.finding import Finding
from labd.cli import doctor, units
from labd.daemon import bench_doctor, udev
from labd.daemon.guard_place import SERVICE_DATA, SERVICE_RUNTIME
from labd.daemon.guarding import BY_SERVICE, GUARD_ENV
from labd.store.catalogue import Catalogue
from labd.store.folder import CATALOGUE, default_folder
from labd_virtual.firmware_build import cache_folder
from tests.bench.whole_run import FIXTURES, changed, replaced
from tests.cli.local_app import Commands

GRANTED = {"StateDirectory": "/var/lib", "CacheDirectory": "/var/cache", "RuntimeDirectory": "/run"}  # systemd.exec(5)


@pytest.fixture
def real_bench(tmp_path: Path) -> Path:
    """The bench file of a real supply, which listens on a port of this machine; its board is not plugged in."""
    shutil.copytree(FIXTURES / "boards", tmp_path / "boards")
    shutil.copytree(FIXTURES / "cards", tmp_path / "cards")
    (tmp_path / "benches").mkdir()
    text = (FIXTURES / "benches/n6705c.toml").read_text("utf-8")
    path = tmp_path / "benches/n6705c.toml"
    path.write_text(text.replace("/dev/ttyACM0", str(tmp_path / "no-port")), "utf-8")
    return path


def lines(out: str, what: str) -> list[str]:
    return [line for line in out.splitlines() if f" {what}: " in line]


def test_a_sound_machine_and_a_virtual_bench_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Catalogue.open(tmp_path / "store"):
        pass
    answer = Commands(capsys, doctor)("doctor", FIXTURES / "benches/demo.toml", "--store", tmp_path / "store")
    assert answer.code == 0, answer.out
    assert lines(answer.out, "guard") == ["ok   guard: none needed, the bench is virtual"]
    assert lines(answer.out, "store") == [f"ok   store: {tmp_path}/store: 0 runs, the catalogue is sound"]


def test_an_agent_that_is_not_there_is_named_and_one_that_is_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is sent to it: the key is not read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = "{}:{}".format(*listener.getsockname())
        bench = changed(tmp_path, "benches", "virtual-agent", replaced(("127.0.0.1:8471", place)))
        answer = Commands(capsys, doctor)("doctor", bench, "--store", tmp_path / "store")
        assert lines(answer.out, "links.agent") == [f"ok   links.agent: 127.0.0.1 port {place.rpartition(':')[2]} takes connections"]
    answer = Commands(capsys, doctor)("doctor", bench, "--store", tmp_path / "store")
    (found,) = lines(answer.out, "links.agent")
    assert found.startswith("FAIL links.agent: ")
    assert "cannot be reached" in found


def test_a_damaged_catalogue_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Catalogue.open(tmp_path):
        pass
    (tmp_path / CATALOGUE).write_bytes(b"no database at all" * 100)
    answer = Commands(capsys, doctor)("doctor", "--store", tmp_path, "--json")
    assert answer.code == 5
    assert [one["what"] for one in json.loads(answer.out) if one["ok"] is False] == ["store"]


def test_an_instrument_that_does_not_listen_and_a_board_that_is_not_there_fail(
    real_bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        text = real_bench.read_text("utf-8")
        start = text.index("TCPIP")
        resource = text[start : text.index('"', start)]
        real_bench.write_text(text.replace(resource, f"TCPIP0::127.0.0.1::{port}::SOCKET"), "utf-8")
        answer = Commands(capsys, doctor)("doctor", real_bench, "--store", tmp_path / "store")
        assert answer.code == 5
        assert lines(answer.out, "smu") == [f"ok   smu: 127.0.0.1 port {port} takes connections"]
    assert "there is no such port" in lines(answer.out, "links.uart")[0]
    again = Commands(capsys, doctor)("doctor", real_bench, "--store", tmp_path / "store")
    assert lines(again.out, "smu")[0].startswith("FAIL smu: 127.0.0.1")


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("TCPIP0::10.0.0.7::5025::SOCKET", ("10.0.0.7", 5025)),
        ("TCPIP0::smu.lab::hislip0::INSTR", ("smu.lab", 4880)),
        ("TCPIP0::smu.lab::hislip0,4881::INSTR", ("smu.lab", 4881)),
        ("tcpip::smu.lab::hislip0,4881", ("smu.lab", 4881)),
        ("TCPIP0::smu.lab::inst0::INSTR", ("smu.lab", 111)),
        ("TCPIP0::hislip-smu.lab::inst0::INSTR", ("hislip-smu.lab", 111)),
        ("TCPIP::smu.lab", ("smu.lab", 111)),
        ("USB0::0x2A8D::0x0101::MY1::INSTR", None),
    ],
)
def test_an_instrument_is_looked_for_where_its_resource_says(resource: str, expected: tuple[str, int] | None) -> None:
    assert bench_doctor.lan_place(resource) == expected


def test_a_name_that_no_host_can_have_is_a_finding() -> None:
    assert bench_doctor.reached("smu", "bench..lab", 5025) == Finding("smu", False, "'bench..lab' is no name that a host can have")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to a group that has no name")
def test_a_port_whose_group_has_no_name_is_a_finding(tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    os.chown(port, -1, 54321)
    assert bench_doctor.way_in(port).startswith("its group 54321 has no name on this machine")


def test_every_mistake_of_a_bench_file_is_told(real_bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real_bench.write_text(real_bench.read_text("utf-8") + "\n[surprise]\nx = 1\n[another]\ny = 2\n", "utf-8")
    answer = Commands(capsys, doctor)("doctor", real_bench, "--store", tmp_path / "store")
    assert answer.code == 5
    assert len([line for line in lines(answer.out, "bench file") if line.startswith("FAIL")]) == 2


def test_a_guard_in_the_control_group_of_the_service_that_it_guards_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {
        1: "/system.slice/labd@a.service",
        2: "/system.slice/labd@a.service",
        3: "/system.slice/labd-guard@a.service",
        4: "/user.slice",
    }
    monkeypatch.setattr(bench_doctor, "_control_group", groups.__getitem__)
    assert bench_doctor.shares_a_service(1, [2])
    assert not bench_doctor.shares_a_service(3, [2])
    assert not bench_doctor.shares_a_service(4, [4])


def test_the_units_are_written_for_this_labd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Commands(capsys, units)("units", tmp_path).code == 0
    daemon = (tmp_path / "labd@.service").read_text("utf-8")
    assert f"ExecStart={sys.executable} -m labd serve /etc/labd/%i.toml --json-log\n" in daemon
    assert "Type=notify\n" in daemon
    guard = (tmp_path / "labd-guard@.service").read_text("utf-8")
    assert f"ExecStart={sys.executable} -m labd guard /etc/labd/%i.toml --group labd\n" in guard
    assert "Type=notify\n" in guard


def test_the_units_agree_with_what_labd_looks_for() -> None:
    daemon, guard = (dict(_settings(resources.path("fixtures") / "systemd" / name)) for name in reversed(units.UNITS))
    there = f"XDG_RUNTIME_DIR={SERVICE_RUNTIME.parent} XDG_DATA_HOME={SERVICE_DATA.parent}"
    assert guard["Environment"] == there
    cache = "XDG_CACHE_HOME=/var/cache"
    assert daemon["Environment"] == f"{there} {cache} LABD_STORE={SERVICE_DATA}/%i {GUARD_ENV}={BY_SERVICE}"
    assert {one["RuntimeDirectory"] for one in (daemon, guard)} == {SERVICE_RUNTIME.name}
    assert {one["StateDirectory"] for one in (daemon, guard)} == {SERVICE_DATA.name}


def _settings(unit: Path) -> Iterator[tuple[str, str]]:
    for line in unit.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            yield name, value


def test_the_daemon_may_write_wherever_it_keeps_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system is read-only to it but for the folders that systemd makes for it."""
    Commands(capsys, units)("units", tmp_path)
    lines = (tmp_path / "labd@.service").read_text("utf-8").splitlines()
    assert "ProtectSystem=strict" in lines
    granted = {f"{root}/{line.partition('=')[2]}" for kind, root in GRANTED.items() for line in lines if line.startswith(f"{kind}=")}
    for line in lines:
        if line.startswith("Environment="):
            for setting in line.partition("=")[2].split():
                monkeypatch.setenv(*setting.split("=", 1))
    assert {str(cache_folder()), str(default_folder()), f"{os.environ['XDG_RUNTIME_DIR']}/labd"} <= granted
    assert os.environ["LABD_STORE"].startswith(f"{default_folder()}/")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Commands(capsys, units)("units", tmp_path)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.glob("*.service")))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_virtual_bench_has_nothing_to_guard(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Commands(capsys, units)("guard", FIXTURES / "benches/demo.toml")
    assert answer.code == 5
    assert "nothing to guard" in answer.error


def test_udev_rules_are_written_and_then_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (missing,) = udev.findings([tmp_path])
    assert missing.ok is None
    assert "USBTMC, PPK2, LPM01A, Joulescope, FTDI" in missing.text
    answer = Commands(capsys, units)("udev", tmp_path)
    assert answer.code == 0, answer.out
    assert str(tmp_path / "70-labd.rules") in answer.out
    (found,) = udev.findings([tmp_path])
    assert found.ok is True
    assert list(udev.findings([tmp_path], "win32")) == []


def test_a_kind_of_instrument_whose_rule_was_taken_out_is_named(tmp_path: Path) -> None:
    kept = [line for line in udev.rules().splitlines() if "1915" not in line]
    (tmp_path / "70-labd.rules").write_text("\n".join(kept), "utf-8")
    (found,) = udev.findings([tmp_path])
    assert "none of labd's for PPK2:" in found.text


RULE = re.compile(r'[A-Z]+(\{[A-Za-z_]+\})?(==|=|\+=)"[^"]*"')  # udev(7): key, operator, value


def test_every_rule_matches_one_kind_and_grants_no_more_than_its_group() -> None:
    for kind, lines in udev.sections(udev.rules()).items():
        for line in lines:
            parts = line.split(", ")
            assert all(RULE.fullmatch(part) for part in parts), (kind, line)
            assert {'MODE="0660"', 'GROUP="plugdev"', 'TAG+="uaccess"'} <= set(parts), (kind, line)
            assert any("==" in part for part in parts)
