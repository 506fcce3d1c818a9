"""Drivers are found by file name, and their options are checked before anything is opened."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import labd_instruments.drivers
from labd_instruments import loader
from labd_instruments.contract import Captures, Evidence, GuardsItself, Instrument, Measures, Sources, Streams
from labd_instruments.errors import NotConnectedError, OutOfRangeError, WrongInstrumentError
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import available, open_driver
from labd_instruments.unsupported import UNSUPPORTED
from tests.instruments.asked import persona, set_up, wired, with_personas

PROTOCOLS = {
    "Instrument": Instrument,
    "Sources": Sources,
    "GuardsItself": GuardsItself,
    "Streams": Streams,
    "Captures": Captures,
    "Measures": Measures,
}
DRIVERS = with_personas()


def test_every_file_among_the_drivers_is_a_driver_with_its_persona_and_its_test() -> None:
    files = {p.stem for p in Path(labd_instruments.drivers.__path__[0]).glob("*.py") if not p.stem.startswith("_")}
    assert {d.name for d in available()} == files == {*DRIVERS, "replay"}
    assert all(persona(name).create and wired(name) for name in DRIVERS)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_driver_was_tried_over_what_its_virtual_instrument_speaks(name: str) -> None:
    info = loader.info(name)
    on_a_serial_port, behind_an_app = bool(info.usb), hasattr(import_module(f"labd_instruments.drivers.{name}"), "SCHEME")
    its_own = {"serial port"} if on_a_serial_port else {"tcp"} if behind_an_app else set(wired(name).interfaces)
    assert {word.lower().replace("-", "") for word in info.on_the_wire} == its_own
    assert info.against_a_double == (() if on_a_serial_port or behind_an_app else ("USBTMC", "GPIB"))


@pytest.mark.parametrize("name", DRIVERS)
async def test_a_driver_has_the_capabilities_it_names_and_no_other(name: str) -> None:
    async with set_up(name) as made:
        has = {word for word, protocol in PROTOCOLS.items() if isinstance(made.driver, protocol)}
    assert has == set(loader.info(name).capabilities)


@pytest.mark.parametrize("name", DRIVERS)
def test_every_option_says_what_it_is(name: str) -> None:
    assert all(option.sentence for option in loader.info(name).options)


def test_only_an_experimental_driver_that_says_so_needs_leave() -> None:
    assert loader.needs_leave("hioki_pw3335")
    assert not loader.needs_leave("yokogawa_wt310e")
    assert all(loader.info(name).evidence is Evidence.EXPERIMENTAL for name in DRIVERS if loader.needs_leave(name))


@pytest.mark.parametrize("name", [one.name for one in UNSUPPORTED])
def test_no_driver_takes_an_instrument_that_is_said_to_have_none(name: str) -> None:
    maker, *models = re.findall(r"[A-Za-z]+(?=\s)|[A-Z]+\d\w+", name.replace(" and ", " "))
    assert models
    identities = [f"{maker.upper()},{model},12345678,1.0" for model in models]
    assert [info.name for info in available() for one in identities if info.identifies and re.match(info.identifies, one)] == []


def test_an_unknown_driver_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OutOfRangeError, match=f"there is no driver agilent_x, there are {', '.join(sorted([*DRIVERS, 'replay']))}"):
        open_driver("agilent_x", "smu", "SCRIPT", {})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"chanel": 1}, "smu: unknown option chanel, did you mean channel?"),
        ({"channel": "1"}, "smu: option channel is '1', right would be integer from 1 to 4"),
        ({"channel": 5}, "smu: option channel is 5, right would be integer from 1 to 4"),
        ({"channel": True}, "smu: option channel is True"),
        ({"fire_polarity": "up"}, "right would be one of POS, NEG"),
        ({"marker_channel": 2.5}, "right would be integer or nothing"),
        ({"timeout_s": float("nan")}, "smu: option timeout_s is nan"),
        ({"channel": 2, "marker_channel": 2}, "marker_channel is 2, which is the channel that feeds the DUT"),
    ],
)
def test_a_bad_option_is_refused_in_one_line_before_anything_is_sent(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        open_driver("keysight_n6705c", "smu", "SCRIPT", options, link=ScriptedLink([]))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_whole_number_is_good_enough_for_a_fraction() -> None:
    link = ScriptedLink.from_text("> *IDN?\n< YOKOGAWA,WT310E,C1,F1.03")
    open_driver("yokogawa_wt310e", "meter", "SCRIPT", {"timeout_s": 1}, link=link)


@pytest.mark.parametrize("name", [name for name in DRIVERS if loader.info(name).identifies])
def test_the_wrong_instrument_closes_the_link(name: str) -> None:
    link = ScriptedLink.from_text(wired(name).stranger)
    with pytest.raises(WrongInstrumentError, match="Toaster"):
        open_driver(name, "x", "SCRIPT", {}, link=link)
    assert link.closed


def test_a_closed_port_is_named_by_the_driver_as_well() -> None:
    with pytest.raises(NotConnectedError, match=r"127\.0\.0\.1"):
        open_driver("keithley_2450", "smu", "TCPIP::127.0.0.1::9::SOCKET", {"timeout_s": 0.5})


@pytest.mark.parametrize("name", DRIVERS)
async def test_what_passes_is_recorded_or_refused_by_name(name: str, tmp_path: Path) -> None:
    async with set_up(name) as made:
        file, options = tmp_path / "exchange.txt", wired(name).options
        if loader.info(name).identifies:
            await made.do(lambda: open_driver(name, "x", made.resource, options, record=file).close())
            assert "> *IDN?" in file.read_text("utf-8")
        else:
            with pytest.raises(OutOfRangeError, match="bytes and no lines"):
                await made.do(lambda: open_driver(name, "x", made.resource, options, record=file))


@pytest.mark.parametrize("name", DRIVERS)
def test_a_power_analyzer_says_at_which_update_it_confirms_and_no_other_driver_does(name: str) -> None:
    info = loader.info(name)
    assert (info.update_s > 0) == ("power_analyzer" in info.roles)
