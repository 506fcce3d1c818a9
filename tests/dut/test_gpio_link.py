"""GPIO without a chip: the kernel's numbers give the losses away, and what is not there is named. With one: tests/gpio."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.dut.errors import LineFailure
from labd.dut.gpio_chip import Wire
from labd.dut.gpio_link import GpioLink, GpioSettings, Seen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="GPIO is Linux's")


@given(st.lists(st.tuples(st.sampled_from(["ready", "gate"]), st.booleans()), max_size=200))
def test_every_lost_edge_shows_in_the_numbers(edges: list[tuple[str, bool]]) -> None:
    """Edges of two lines, some dropped by the kernel: what is missing before one that is kept is counted, of all and of its line."""
    seen = Seen()
    numbers = {"ready": 0, "gate": 0}
    dropped, of_line, found, found_of_line = 0, {"ready": 0, "gate": 0}, 0, {"ready": 0, "gate": 0}
    for number, (name, kept) in enumerate(edges, start=1):
        numbers[name] += 1
        if not kept:
            dropped += 1
            of_line[name] += 1
            continue
        lost, own = seen.gap(name, number, numbers[name])
        found += lost
        found_of_line[name] += own
        assert found_of_line[name] == of_line[name]
        assert found == dropped


def test_a_line_that_goes_the_same_way_twice_has_lost_an_edge() -> None:
    seen = Seen()
    ways = [("ready", True), ("gate", True), ("ready", False), ("ready", False), ("ready", True)]
    assert [seen.twice(name, rising=rising, gap=False) for name, rising in ways] == [False, False, False, True, False]
    assert not seen.twice("ready", rising=True, gap=True)  # told already


async def test_a_chip_that_is_not_there_is_named() -> None:
    settings = GpioSettings("no such chip", outputs={"go": Wire("GO")})
    with pytest.raises(LineFailure, match=r"no such chip: there is no such GPIO chip; there (are /dev|is none)"):
        async with GpioLink(settings):
            pass


async def test_without_its_library_labd_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(LineFailure, match=r"gpiod, version 2 .*pip install 'labd\[gpio\]'"):
        async with GpioLink(GpioSettings("/dev/gpiochip0")):
            pass
