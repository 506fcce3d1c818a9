"""`labd discover` finds what announces itself on a real network, asks who it is, and proposes a bench file that loads."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from labd.bench_file import check_roles
from labd.bench_file.proposal import proposed
from labd.cli import discover as command
from labd.cli.main import run_command
from labd.daemon.opened import load_bench
from labd_instruments import discover, loader
from labd_instruments.discover import Found, Place, Port
from labd_virtual.instruments import keithley_2450, yokogawa_wt310e
from labd_virtual.wire import Interface
from tests.bench.whole_run import FIXTURES
from tests.cli.local_app import Commands
from tests.virtual.persona_fakes import Bench

HERE = "127.0.0.1"
ANSWER_S = 8.0  # a machine that is busy answers late
ROLES = {info.name: info.roles for info in loader.available()}


def port_of(resource: str) -> int:
    """`TCPIP::h::hislip0,14880::INSTR` or `TCPIP::h::5025::SOCKET`."""
    return int(resource.split("::")[2].rsplit(",", maxsplit=1)[-1])


@pytest.fixture
async def announced() -> AsyncIterator[tuple[str, str]]:
    """Two instruments that announce themselves, one by HiSLIP and one by raw socket; their resources."""
    kinds: dict[Interface, str] = {"hislip": "_hislip._tcp.local.", "socket": "_scpi-raw._tcp.local."}
    network = AsyncZeroconf(interfaces=[HERE])
    smu, meter = (
        module.create(Bench(interface=kind).setup()) for module, kind in zip((keithley_2450, yokogawa_wt310e), kinds, strict=True)
    )
    resources = await smu.serve(), await meter.serve()
    try:
        for number, (kind, resource) in enumerate(zip(kinds.values(), resources, strict=True)):
            info = ServiceInfo(kind, f"Virtual #{number}.{kind}", addresses=[socket.inet_aton(HERE)], port=port_of(resource))
            await (await network.async_register_service(info))
        yield resources
    finally:
        await network.async_close()
        await smu.close()
        await meter.close()


async def test_what_announces_itself_is_found_and_asked_who_it_is(announced: tuple[str, str]) -> None:
    places = await asyncio.to_thread(discover.places, wait_s=ANSWER_S, interfaces=[HERE])
    heard = {place.resource: place.known_by for place in places}
    assert heard.keys() >= set(announced)
    assert heard[announced[0]] == "mDNS (_hislip): Virtual #0"
    found = [await asyncio.to_thread(discover.ask, Place(resource, "")) for resource in announced]
    assert [one.drivers for one in found] == [("keithley_2450",), ("yokogawa_wt310e",)]
    assert "2461" in found[0].identity


async def test_an_address_that_a_person_names_is_tried(announced: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    port = port_of(announced[1])
    monkeypatch.setattr(discover, "TRIED", {port: f"TCPIP::{{host}}::{port}::SOCKET", 9: "TCPIP::{host}::9::SOCKET"})
    places = await asyncio.to_thread(discover.places, [HERE], wait_s=0.0, interfaces=[HERE])
    assert places[0] == Place(announced[1], f"{HERE} takes connections at port {port}")
    assert not any(place.resource == f"TCPIP::{HERE}::9::SOCKET" for place in places)


def test_nobody_there_is_a_problem_and_no_error() -> None:
    found = discover.ask(Place(f"TCPIP::{HERE}::9::SOCKET", "given"), timeout_s=0.3)
    assert (found.identity, found.drivers) == ("", ())
    assert HERE in found.problem


@pytest.mark.parametrize(
    ("identity", "driver"),
    [
        ("KEITHLEY INSTRUMENTS,MODEL 2461,04411826,1.7.12b", "keithley_2450"),
        ("Agilent Technologies,N6705B,MY50001897,D.01.08", "keysight_n6705c"),
        ("YOKOGAWA,WT310E,C3RD11014V,F1.03", "yokogawa_wt310e"),
    ],
)
def test_a_driver_is_known_by_the_answer(identity: str, driver: str) -> None:
    assert discover.drivers_for(identity) == (driver,)


def test_another_makers_instrument_has_no_driver() -> None:
    assert discover.drivers_for("ACME,MODEL 2461,1,2") == ()


@pytest.mark.parametrize("name", [info.name for info in loader.available() if not info.needs_no_wires])
def test_every_driver_can_be_found(name: str) -> None:
    info = loader.info(name)
    by_hand = getattr(import_module(f"labd_instruments.drivers.{name}"), "SCHEME", "")  # behind an application that announces nothing
    assert info.identifies or info.usb or by_hand


def test_a_proposed_bench_file_loads(tmp_path: Path) -> None:
    found = [
        Found("TCPIP::h::hislip0::INSTR", "", "KEITHLEY INSTRUMENTS,MODEL 2461,1,1", ("keithley_2450",)),
        Found("TCPIP::h::inst0::INSTR", "", "KEITHLEY INSTRUMENTS,MODEL 2461,1,1", ("keithley_2450",)),
        Found("TCPIP::s::5025::SOCKET", "", "ACME,1,2,3"),
        Found("TCPIP::w::inst0::INSTR", "", "YOKOGAWA,WT310E,C1,F1", ("yokogawa_wt310e",)),
        Found("TCPIP::v::inst0::INSTR", "", "YOKOGAWA,WT310E,C2,F1", ("yokogawa_wt310e",)),
        Found("TCPIP::n::inst0::INSTR", "", problem="nobody"),
    ]
    ports = [Port("/dev/ttyACM0", "a kit", (0x1915, 0xC00A), drivers=("nordic_ppk2",)), Port("/dev/ttyACM1", "a board")]
    file = tmp_path / "bench.toml"
    file.write_text(proposed(found, ports, ROLES, name="bench", board=str(FIXTURES / "boards/my-board.toml")), "utf-8")
    assert "# TCPIP::v::inst0::INSTR: YOKOGAWA,WT310E,C2,F1" in file.read_text("utf-8")
    bench = load_bench(file)
    assert {name: (one.driver, one.resource, one.roles) for name, one in bench.instruments.items()} == {
        "smu": ("keithley_2450", "TCPIP::h::hislip0::INSTR", ("source", "meter")),
        "check": ("yokogawa_wt310e", "TCPIP::w::inst0::INSTR", ("cross_check",)),
    }
    assert bench.links["uart"].port == "/dev/ttyACM1"
    assert "# /dev/ttyACM0: a kit (nordic_ppk2)" in file.read_text("utf-8")


def test_a_kit_at_a_serial_port_feeds_the_board_where_nothing_else_does(tmp_path: Path) -> None:
    kit = Port("/dev/ttyACM0", "PPK2", (0x1915, 0xC00A), "C0FFEE", drivers=("nordic_ppk2",))
    ports = [kit, replace(kit, device="/dev/ttyACM1"), Port("/dev/ttyACM2", "a board")]
    file = tmp_path / "bench.toml"
    file.write_text(proposed([], ports, ROLES, name="bench", board=str(FIXTURES / "boards/my-board.toml")), "utf-8")
    bench = load_bench(file)
    assert {name: (one.driver, one.resource, one.roles) for name, one in bench.instruments.items()} == {
        "smu": ("nordic_ppk2", "/dev/ttyACM0", ("source", "meter"))
    }
    assert bench.links["uart"].port == "/dev/ttyACM2"


SMU = Found("TCPIP::h::hislip0::INSTR", "", "KEITHLEY INSTRUMENTS,MODEL 2461,1,1", ("keithley_2450",))
OTHER = Found("TCPIP::b::hislip0::INSTR", "", "KEYSIGHT,B2901A,1,1", ("keysight_b2900",))
DMM = Found("TCPIP::d::inst0::INSTR", "", "KEITHLEY INSTRUMENTS,MODEL DMM6500,1,1", ("keithley_dmm6500",))
ANALYZER = Found("TCPIP::w::inst0::INSTR", "", "YOKOGAWA,WT310E,C1,F1", ("yokogawa_wt310e",))
BOTH, CHECK = ("source", "meter"), ("cross_check",)


@pytest.mark.parametrize(
    ("found", "roles"),
    [
        ((SMU, DMM), {"smu": BOTH}),
        ((DMM, SMU), {"smu": BOTH}),
        ((SMU, OTHER), {"smu": BOTH}),
        ((ANALYZER, DMM, SMU), {"smu": BOTH, "check": CHECK}),
    ],
)
def test_a_proposed_bench_can_run_in_whatever_order_its_instruments_were_found(
    tmp_path: Path, found: tuple[Found, ...], roles: dict[str, tuple[str, ...]]
) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(proposed(found, [], ROLES, name="bench", board=str(FIXTURES / "boards/my-board.toml")), "utf-8")
    bench = load_bench(file)
    check_roles(bench, ROLES)
    assert {name: one.roles for name, one in bench.instruments.items()} == roles
    assert all(one.resource in file.read_text("utf-8") for one in found)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ((), 'can be "source" and "meter" was found'),
        ((DMM,), 'can be "source" was found'),
        ((ANALYZER,), 'can be "source" was found'),
        ((ANALYZER, DMM), 'can be "source" was found'),
    ],
)
def test_what_is_missing_is_said_and_what_was_found_is_kept(found: tuple[Found, ...], told: str) -> None:
    text = proposed(found, [], ROLES, name="bench")
    assert told in text
    assert 'order = ["CHANGE"' not in text
    assert all(f'resource = "{one.resource}"' in text for one in found)


def test_a_proposed_meter_beside_a_source_to_come_has_its_leads() -> None:
    assert "from the end of the sense leads through the meter to the board" in proposed([DMM], [], ROLES, name="bench")


def test_who_was_found_in_two_ways_keeps_the_first_place() -> None:
    again = replace(SMU, resource="TCPIP::h::inst0::INSTR")
    assert f'resource = "{SMU.resource}"' in proposed([SMU, OTHER, again], [], ROLES, name="bench")


def test_a_port_that_a_person_names_is_tried_and_no_other() -> None:
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        places = discover.places([f"{HERE}:{port}"], wait_s=0.0, interfaces=[HERE])
    assert places[0] == Place(f"TCPIP::{HERE}::{port}::SOCKET", f"{HERE} takes connections at port {port}")


@pytest.mark.parametrize("host", ["192.168..5", "", "h:", "h:99999", "h:x", ":5025"])
def test_what_is_no_address_is_refused_by_name(capfd: pytest.CaptureFixture[str], host: str) -> None:
    assert run_command(["discover", host]) == 2
    assert f"{host!r} is no address" in capfd.readouterr().err


def test_leave_for_an_experimental_driver_is_proposed_and_not_given() -> None:
    found = [Found("TCPIP::h::3300::SOCKET", "", "HIOKI,PW3336,1,V1.00", ("hioki_pw3335",))]
    assert "\n# allow_experimental = true " in proposed(found, [], ROLES, name="bench", need_leave=["hioki_pw3335"])
    assert "allow_experimental" not in proposed(found, [], ROLES, name="bench")


def test_the_command_tells_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answered = Found("TCPIP::h::hislip0::INSTR", "mDNS", "KEITHLEY INSTRUMENTS,MODEL 2461,1,1", ("keithley_2450",))
    monkeypatch.setattr(discover, "places", lambda _hosts: [Place(answered.resource, answered.known_by)])
    monkeypatch.setattr(discover, "ask", lambda _place: answered)
    monkeypatch.setattr(discover, "ports", lambda: [Port("/dev/ttyACM1", "a board", (0x0483, 0x374B))])
    run = Commands(capsys, command)
    told = run("discover", "--write", tmp_path / "mine.toml")
    assert "TCPIP::h::hislip0::INSTR: KEITHLEY INSTRUMENTS,MODEL 2461,1,1: keithley_2450 (mDNS)" in told.out
    assert "/dev/ttyACM1: a board, USB 0483:374b" in told.out
    assert 'driver = "keithley_2450"' in (tmp_path / "mine.toml").read_text("utf-8")
    again = run("discover", "--write", tmp_path / "mine.toml")
    assert again.code == 2
    assert "exists already" in again.error
    assert json.loads(run("discover", "--json").out)["instruments"][0]["drivers"] == ["keithley_2450"]
