"""Modem lines on pyserial's loop, which wires RTS to CTS and DTR to DSR, and on a pseudo-terminal, which has none. More in tests/gpio."""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator
from contextlib import aclosing

import pytest
import serial

from labd.dut.errors import LineFailure
from labd.dut.modem_lines import Counted, ModemLines
from labd.dut.port import PortSettings, open_port


@pytest.fixture
def loop() -> Iterator[serial.SerialBase]:
    with serial.serial_for_url("loop://") as port:
        yield port


@pytest.mark.parametrize(("output", "wired_to", "other"), [("rts", "cts", "dsr"), ("dtr", "dsr", "cts")])
async def test_what_is_set_is_seen_where_it_is_wired_to(loop: serial.SerialBase, output: str, wired_to: str, other: str) -> None:
    async with ModemLines(loop, "loop") as lines:
        for name in ("rts", "dtr"):
            await lines.line(name).set(active=False)
        for level in (True, False, True):
            await lines.line(output).set(active=level)  # type: ignore[arg-type]  # parametrized
            assert await lines.line(wired_to).get() is level  # type: ignore[arg-type]
            assert await lines.line(other).get() is False  # type: ignore[arg-type]


async def test_an_edge_lies_between_two_looks(loop: serial.SerialBase) -> None:
    async with ModemLines(loop, "loop") as lines:
        go, ready = lines.line("rts"), lines.line("cts")
        await go.set(active=False)
        assert await ready.get() is False
        async with aclosing(ready.edges()) as edges:
            for level in (True, False, True):
                await go.set(active=level)
                edge = await anext(edges)
                assert edge.rising is level
                assert edge.earliest_ns < edge.t_ns
                following = edge
            assert following.rising


async def test_what_changed_between_a_reading_and_the_first_look_is_an_edge(loop: serial.SerialBase) -> None:
    """Or READY, read as inactive, would be waited for although it has come."""
    async with ModemLines(loop, "loop") as lines:
        await lines.line("rts").set(active=False)
        assert await lines.line("cts").get() is False
        await lines.line("rts").set(active=True)
        edge = await anext(lines.line("cts").edges())
        assert edge.rising


async def test_closing_an_output_leaves_it_inactive(loop: serial.SerialBase) -> None:
    async with ModemLines(loop, "loop") as lines:
        await lines.line("rts").set(active=True)
        await lines.line("rts").close()
        assert await lines.line("cts").get() is False


async def test_closed_lines_end_who_reads_them(loop: serial.SerialBase) -> None:
    async with ModemLines(loop, "loop") as lines:
        edges = lines.line("cts").edges()
    with pytest.raises(LineFailure, match="loop: its lines are closed"):
        await anext(edges)


async def test_a_pseudo_terminal_has_none() -> None:
    master, slave = os.openpty()
    tty.setraw(slave, termios.TCSANOW)
    name = os.ttyname(slave)
    port = open_port(PortSettings(name), read_s=0.1)
    try:
        with pytest.raises(LineFailure, match=f"{name}: it has no modem lines .a pseudo-terminal has none"):
            async with ModemLines(port, name):
                pass
    finally:
        port.close()
        os.close(master)
        os.close(slave)


async def test_an_input_is_not_driven_and_an_output_gives_no_edges(loop: serial.SerialBase) -> None:
    async with ModemLines(loop, "loop") as lines:
        with pytest.raises(LineFailure, match="CTS is an input of the host; it can drive RTS and DTR"):
            await lines.line("cts").set(active=True)
        with pytest.raises(LineFailure, match="RTS is an output of the host; CTS and DSR give edges"):
            lines.line("rts").edges()
        with pytest.raises(LineFailure, match="got 'ri'"):
            lines.line("ri")  # type: ignore[arg-type]


def test_a_pulse_between_two_looks_is_found_by_the_drivers_count() -> None:
    counted = Counted()
    assert counted.lost(10, changed=False) == 0
    assert counted.lost(11, changed=True) == 0
    assert counted.lost(13, changed=False) == 2
    assert counted.lost(16, changed=True) == 2


def test_level_and_count_may_be_read_in_turn() -> None:
    counted = Counted()
    counted.lost(0, changed=False)
    assert counted.lost(1, changed=False) == 0  # the level was read just before it changed
    assert counted.lost(1, changed=True) == 0
    assert counted.lost(3, changed=False) == 2


def test_a_driver_that_counts_nothing_is_not_believed() -> None:
    counted = Counted()
    assert [counted.lost(0, changed=True) for _ in range(5)] == [0] * 5
