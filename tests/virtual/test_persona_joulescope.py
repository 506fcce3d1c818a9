"""The double of the vendor's package: what it refuses, and, where pyjoulescope_driver is installed, that its interface is the real one."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from labd_instruments.drivers._joulescope_link import GONE, Library, open_joulescope
from labd_instruments.drivers._joulescope_remote import RemoteLibrary
from labd_instruments.errors import NotConnectedError
from labd_virtual.instruments.jetperch_joulescope import FIRST_ID, Joulescope
from labd_virtual.instruments.jetperch_joulescope_library import CODES, JoulescopeLibrary
from labd_virtual.instruments.jetperch_joulescope_topics import FROM_HOST, JS110
from tests.virtual.persona_fakes import Bench

ABSENT = "u/js220/000000"
METHODS = [name for name in vars(Library) if not name.startswith("_")]
Raised = tuple[type[BaseException], str]


@pytest.fixture
def real() -> ModuleType:
    found: ModuleType = pytest.importorskip("pyjoulescope_driver")
    return found


@pytest.fixture
def real_library(real: ModuleType) -> Iterator[Any]:
    library = real.Driver()
    yield library
    library.finalize()


def opened(model: str = "JS220", bench: Bench | None = None, **more: Any) -> tuple[Joulescope, JoulescopeLibrary]:
    device = Joulescope((bench or Bench()).setup(options={"model": model}, **more))
    library = JoulescopeLibrary(device)
    library.open(device.path)
    return device, library


def raised(library: Any, method: str, *args: Any) -> Raised:
    with pytest.raises(Exception) as caught:
        getattr(library, method)(*args)
    return caught.type, str(caught.value)


# --- by itself


def test_it_refuses_what_the_package_refuses() -> None:
    device, library = opened()
    for topic, value, code in (
        ("h/fs", 3, 5),
        ("h/nothing", 1, 5),
        ("s/nothing", 1, 20),
        ("s/i/range/mode", "sideways", 5),
        ("c/fw/version", 1, 5),
        ("s/i/ctrl", 2, 5),
    ):
        kind, text = raised(library, "publish", f"{device.path}/{topic}", value)
        assert kind is RuntimeError
        assert text == f"jsdrv_publish failed {code} {CODES[code][0]} | {CODES[code][1]} | {device.path}/{topic}"
    library.close(device.path)
    assert raised(library, "publish", f"{device.path}/h/fs", 1000)[1].startswith("jsdrv_publish failed 22 CLOSED")


def test_an_option_may_be_given_by_its_name() -> None:
    device, library = opened()
    library.publish(f"{device.path}/s/i/range/select", "180 mA")
    assert library.query(f"{device.path}/s/i/range/select") == 130


def test_a_query_gives_what_was_published_whatever_the_device_has() -> None:
    device, library = opened(trap="other_rate")
    library.publish(f"{device.path}/h/fs", 500_000)
    assert library.query(f"{device.path}/h/fs") == 500_000
    assert device.values["h/fs"] == 1000


def test_one_program_has_it_open() -> None:
    device, library = opened()
    assert raised(JoulescopeLibrary(device), "open", device.path)[1].startswith("jsdrv_open failed 21 IN_USE")
    library.finalize()
    JoulescopeLibrary(device).open(device.path)


async def test_each_piece_has_its_sample_ids_and_their_times() -> None:
    bench = Bench(load=((0, 1e-3),))
    device, library = opened(bench=bench, timebase=100e-6)
    pieces: list[dict[str, Any]] = []
    library.publish(f"{device.path}/s/i/range/mode", "auto")
    library.subscribe(f"{device.path}/s/i/!data", "pub", lambda _topic, piece: pieces.append(piece))
    library.publish(f"{device.path}/s/i/ctrl", 1)
    bench.clock.pass_s(0.21)
    while device._produce("s/i"):
        pass
    assert [piece["sample_id"] for piece in pieces] == [FIRST_ID["JS220"] + 100_000 * k for k in range(4)]
    assert {piece["decimate_factor"] for piece in pieces} == {2}
    rate = pieces[0]["time_map"]["counter_rate"]
    assert 0 < abs(rate / 2e6 - 1) <= 100e-6
    assert (pieces[3]["utc"] - pieces[0]["utc"]) / 2**30 == pytest.approx(300_000 / rate, abs=1e-8)
    assert np.concatenate([piece["data"] for piece in pieces]) == pytest.approx(1e-3, rel=1e-5)


# --- against the package, where it is


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_called_as_the_packages(real: ModuleType, method: str) -> None:
    wanted = list(inspect.signature(getattr(real.Driver, method)).parameters)
    for own in (Library, RemoteLibrary, JoulescopeLibrary):
        assert list(inspect.signature(getattr(own, method)).parameters) == wanted, own


def test_metadata_are_the_packages(real: ModuleType) -> None:
    (binding,) = (file for file in Path(str(real.__file__)).parent.glob("binding.*") if file.suffix in (".so", ".pyd"))
    there = [json.loads(text) for text in re.findall(rb'\{"dtype"[^\0%]*\}(?=\0)', binding.read_bytes())]
    assert [topic for topic, told in {**JS110, **FROM_HOST}.items() if told not in there] == []


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("query", (f"{ABSENT}/h/fs",)),
        ("publish", (f"{ABSENT}/h/fs", 1000, 0.2)),
        ("publish", (f"{ABSENT}/h/fs", [1])),
        ("open", (ABSENT, "defaults", 0.2)),
        ("open", (ABSENT, "sideways")),
        ("close", (ABSENT, 0.2)),
        ("unsubscribe", (f"{ABSENT}/s/i/!data", print)),
        ("subscribe", (f"{ABSENT}/s/i/!data", "sideways", print)),
    ],
)
def test_it_raises_as_the_package_does(real_library: Any, method: str, args: tuple[Any, ...]) -> None:
    _, own = opened()
    assert raised(own, method, *args) == raised(real_library, method, *args)


def test_what_nobody_took_is_what_a_query_gives(real_library: Any) -> None:
    for library in (opened()[1], real_library):
        assert raised(library, "publish", f"{ABSENT}/s/i/range/select", 132, 0.2)[0] is TimeoutError
        assert library.query(f"{ABSENT}/s/i/range/select") == 132


@pytest.mark.usefixtures("real")
def test_a_device_that_is_not_on_this_machine_is_named() -> None:
    with pytest.raises(NotConnectedError, match=f"joulescope:///{ABSENT}: there is no {ABSENT}"):
        open_joulescope(f"joulescope:///{ABSENT}", 1.0)


def test_what_the_package_has_for_codes(real: ModuleType) -> None:
    assert {code: getattr(real.ErrorCode, name) for code, (name, _) in CODES.items()} == {code: code for code in CODES}
    assert {code: getattr(real.ErrorCode, name) for code, name in GONE.items()} == {code: code for code in GONE}
