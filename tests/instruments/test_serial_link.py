"""The serial link on a pseudo-terminal: exact reads, named failures, names of ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import serial

from labd_instruments.errors import LinkTimeoutError, NotConnectedError, OutOfRangeError
from labd_instruments.links.serial import SerialLink, port_of
from labd_virtual.wire_serial import SerialServer


@pytest.fixture(params=[True, False], ids=["straight", "by pyserial"])
async def talker(request: pytest.FixtureRequest) -> AsyncIterator[tuple[SerialLink, SerialServer]]:
    """A link, and a device that says back what it hears. Windows has only the second way of reading."""
    server = SerialServer(lambda data: server.send(data))  # noqa: PLW0108 - there is no server yet
    server.start()
    port = serial.Serial(server.resource, timeout=0.3, write_timeout=0.3)
    link = SerialLink(port, server.resource, 0.3, straight=request.param)
    yield link, server
    link.close()
    server.close()


async def test_a_link_reads_exactly_what_it_is_asked_for(talker: tuple[SerialLink, SerialServer]) -> None:
    link, _ = talker
    sent = bytes(range(256)) * 200

    def talk() -> None:
        for k in range(0, len(sent), 1024):
            link.send(sent[k : k + 1024])
            assert link.exactly(1024).tobytes() == sent[k : k + 1024]
        link.send(b"R0: 1\nEND\n")
        assert link.until(b"END") == b"R0: 1\nEND"
        assert link.discard() == 1
        assert not len(link.available())

    await asyncio.to_thread(talk)


async def test_what_a_link_waited_for_in_vain_is_named(talker: tuple[SerialLink, SerialServer]) -> None:
    link, server = talker

    def talk() -> None:
        link.send(b"abc")
        with pytest.raises(LinkTimeoutError, match="3 of 4 bytes"):
            link.exactly(4)
        link.send(b"abc")
        with pytest.raises(LinkTimeoutError, match=r"no b'END' within 0\.3 s, 3 bytes came"):
            link.until(b"END")

    await asyncio.to_thread(talk)
    server.close()
    with pytest.raises(NotConnectedError, match="ttyACM"):
        await asyncio.to_thread(link.exactly, 1)


@pytest.mark.parametrize(
    ("resource", "device"),
    [("/dev/ttyACM0", "/dev/ttyACM0"), ("COM3", "COM3"), ("ASRL3::INSTR", "COM3"), ("ASRL/dev/ttyACM1::INSTR", "/dev/ttyACM1")],
)
def test_a_port_may_be_named_as_visa_does(resource: str, device: str) -> None:
    assert port_of(resource) == device


def test_another_interface_is_no_port() -> None:
    with pytest.raises(OutOfRangeError, match="is no serial port"):
        port_of("TCPIP::127.0.0.1::5025::SOCKET")
