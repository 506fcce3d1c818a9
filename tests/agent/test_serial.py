"""The agent at a serial port: the same handshake and operations, on a line that tells nobody who is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import serial

from labd.dut.agent_link import AgentLink
from labd.dut.errors import CallableCrashed, NoAnswer, WrongKey
from labd.records import Mode
from tests.agent.apart import Agent, serial_cable, started

BAUD = 115200


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with serial_cable() as (here, there), started(tmp_path, "--serial", there, "--baud", str(BAUD)) as running:
        yield replace(running, place=here)


async def test_an_agent_at_a_serial_port_does_what_one_on_a_network_does(agent: Agent) -> None:
    async with agent.device(baud=BAUD) as device:
        await device.load_input(bytes([3, 6, 9, 12]))
        assert (await device.infer(2)).results == (1.0, 2.0, 3.0, 4.0)
        await device.set_mode(Mode.EVENT_RELOAD)
        assert (await device.periodic(3, 20_000)).served == 3
        await device.load_input(b"X\0\0\0")
        with pytest.raises(CallableCrashed):
            await device.infer(1)
        await device.load_input(bytes(4))  # it went with the process
        async with device.armed(1, timeout_s=20, wake="uart") as armed:
            await armed.poke()


async def test_the_key_is_proven_anew_in_each_session(agent: Agent) -> None:
    async with agent.device(baud=BAUD):
        pass
    assert raw(agent.place, b"name%") == b"e-[Not authenticated: hello and a proof of the key come first]\r\nm-ready\r\n"
    async with agent.device(baud=BAUD) as device:
        await device.infer(1)


async def test_half_a_command_of_somebody_before_does_no_harm(agent: Agent) -> None:
    raw(agent.place, b"infer 1", answer=False)
    async with agent.device(baud=BAUD) as device:
        await device.infer(1)


async def test_who_begins_anew_takes_the_line_over(agent: Agent) -> None:
    """A client that was killed said no goodbye."""
    gone = AgentLink(agent.place, agent.key, baud=BAUD)
    await gone.__aenter__()
    gone._serial = False  # it leaves without a word
    await gone.__aexit__(None, None, None)
    async with agent.device(baud=BAUD) as device:
        await device.infer(1)


async def test_a_wrong_key_is_named_there_too_and_the_right_one_works_after_it(agent: Agent) -> None:
    with pytest.raises(WrongKey, match="has another key"):
        async with AgentLink(agent.place, b"w" * 64, baud=BAUD):
            pass
    async with agent.device(baud=BAUD) as device:
        await device.infer(1)


async def test_a_port_without_an_agent_is_named() -> None:
    with serial_cable() as (here, _), pytest.raises(NoAnswer, match="no answer from an agent at"):
        async with AgentLink(here, b"k" * 64, baud=BAUD):
            pass


def raw(place: str, data: bytes, *, answer: bool = True) -> bytes:
    with serial.Serial(place, BAUD, timeout=20) as port:
        port.write(data)
        return bytes(port.read_until(b"m-ready\r\n")) if answer else b""
