"""Modem lines on real drivers: an FT232 by ftdi_sio, and a 16550 whose loop-back wires RTS to CTS. Run by `make test-gpio`."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import serial
from serial.tools import list_ports

from labd.dut.handshake import Handshake
from labd.dut.modem_lines import ModemLines
from labd.dut.port import PortSettings, open_port
from labd.trigger.firing import ModemPulse
from labd.trigger.process import trigger

MS = 1_000_000
PATIENCE_S = 120.0
FTDI, PLAIN = "/dev/ttyUSB0", "/dev/ttyS1"
TIOCM_LOOP = 0x8000  # <asm-generic/termios.h>


@pytest.fixture
def ftdi() -> Iterator[serial.Serial]:
    with open_port(PortSettings(FTDI, dtr=False, rts=False), read_s=1.0) as port:
        yield port


@pytest.fixture
def looped() -> Iterator[serial.Serial]:
    with open_port(PortSettings(PLAIN, dtr=False, rts=False), read_s=1.0) as port:
        fcntl.ioctl(port.fileno(), termios.TIOCMBIS, struct.pack("I", TIOCM_LOOP))
        yield port


@pytest.fixture
async def lines(looped: serial.Serial) -> AsyncIterator[ModemLines]:
    async with ModemLines(looped, PLAIN) as opened:
        yield opened


def asserted(port: serial.Serial, bit: int) -> bool:
    """As the driver says."""
    (levels,) = struct.unpack("I", fcntl.ioctl(port.fileno(), termios.TIOCMGET, bytes(4)))
    return bool(levels & bit)


def test_the_adapter_is_the_real_drivers() -> None:
    (found,) = [port for port in list_ports.comports() if port.device == FTDI]
    assert (found.vid, found.pid) == (0x0403, 0x6001)
    assert Path("/sys/bus/usb-serial/drivers/ftdi_sio/ttyUSB0").exists()


async def test_rts_and_dtr_of_an_ftdi_adapter_follow(ftdi: serial.Serial) -> None:
    async with ModemLines(ftdi, FTDI) as lines:
        for name, bit in (("rts", termios.TIOCM_RTS), ("dtr", termios.TIOCM_DTR)):
            for level in (True, False, True, False):
                await lines.line(name).set(active=level)  # type: ignore[arg-type]
                assert asserted(ftdi, bit) is level


async def test_cts_and_dsr_of_an_ftdi_adapter_are_read(ftdi: serial.Serial) -> None:
    """QEMU's adapter shows both asserted where what is behind it has no lines of its own."""
    async with ModemLines(ftdi, FTDI) as lines:
        assert await lines.line("cts").get() is True
        assert await lines.line("dsr").get() is True


async def test_the_trigger_process_fires_rts_of_an_ftdi_adapter(ftdi: serial.Serial) -> None:
    async with trigger(ftdi.fileno()) as process:
        firings = await process.fire(ModemPulse(ftdi.fileno(), "rts", 2 * MS), [k * 100 * MS for k in range(5)])
    assert [firing.fired for firing in firings] == [True] * 5
    assert not asserted(ftdi, termios.TIOCM_RTS)


async def test_what_rts_does_is_seen_at_cts(lines: ModemLines) -> None:
    for level in (True, False, True):
        await lines.line("rts").set(active=level)
        assert await lines.line("cts").get() is level


async def test_edges_of_cts_lie_between_two_looks(lines: ModemLines) -> None:
    edges = lines.line("cts").edges()
    for level in (True, False) * 10:
        before_ns = time.monotonic_ns()
        await lines.line("rts").set(active=level)
        after_ns = time.monotonic_ns()
        edge = await anext(edges)
        assert edge.rising is level
        assert edge.t_ns >= before_ns
        assert edge.earliest_ns <= after_ns
    await edges.aclose()


async def test_the_trigger_process_fires_rts_and_every_pulse_is_seen(looped: serial.Serial, lines: ModemLines) -> None:
    edges = lines.line("cts").edges()
    first = asyncio.create_task(anext(edges))
    async with trigger(looped.fileno()) as process:
        firings = await process.fire(
            ModemPulse(looped.fileno(), "rts", 10 * MS), [k * 300 * MS for k in range(1, 4)], start_ns=time.monotonic_ns() + 2000 * MS
        )
    seen = [await first, *[await anext(edges) for _ in range(5)]]
    assert [edge.rising for edge in seen] == [True, False] * 3
    assert all(edge.t_ns >= firing.began_ns for edge, firing in zip(seen[::2], firings, strict=True))
    await edges.aclose()


async def test_ready_and_go_by_modem_lines(looped: serial.Serial, lines: ModemLines) -> None:
    """DTR stands for the DUT's READY, which it is wired to; GO is RTS, and the DUT's gate follows it at CTS."""
    handshake = Handshake(lines.line("dsr"), lines.line("rts"), lines.line("cts"))
    ready = asyncio.create_task(handshake.wait_ready(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    await lines.line("dtr").set(active=True)
    await ready
    since_ns = time.monotonic_ns()
    async with handshake.going(timeout_s=PATIENCE_S):
        reading = asyncio.create_task(handshake.gates(1, since_ns=since_ns, timeout_s=PATIENCE_S))
        await asyncio.sleep(1.0)  # for as long the DUT works; a busy host looks at least once meanwhile
    (gate,) = await reading
    assert gate.length_s > 0
