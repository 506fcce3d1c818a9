"""The page of what a virtual bench is made of."""

from __future__ import annotations

from labd_instruments import loader
from labd_virtual.reference import PAGE, page, personas


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m labd_virtual.reference"


def test_a_virtual_instrument_stands_in_for_each_driver_that_needs_wires() -> None:
    assert {name for name, _ in personas()} == {info.name for info in loader.available() if info.name != "replay"}
