"""The agent's marker and trigger on a chip of a real kernel: `make test-gpio` runs this in its virtual machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from labd.records import MarkStyle, Mode
from tests.agent.apart import Agent, started
from tests.gpio.sim import Sim, simulated

# slow enough for somebody who looks at the pin
SLOW = "import time\ndef infer(data):\n    time.sleep(0.5)\n    return [1.0]\n"
LOOKS_S = 0.01


@pytest.fixture
def sim() -> Iterator[Sim]:
    with simulated(("MARK", "TRIG")) as made:
        made.drive("TRIG", high=False)
        yield made


@pytest.fixture
def agent(sim: Sim, tmp_path: Path) -> Iterator[Agent]:
    with started(tmp_path, "--marker-line", f"{sim.chip}:MARK", "--trigger-line", f"{sim.chip}:1", model=SLOW) as running:
        yield running


async def until(sim: Sim, *, high: bool) -> None:
    async with asyncio.timeout(120):
        while sim.high("MARK") != high:  # noqa: ASYNC110  the kernel's simulator tells nobody
            await asyncio.sleep(LOOKS_S)


async def test_an_edge_triggers_and_the_marker_shows_the_inference(sim: Sim, agent: Agent) -> None:
    async with agent.device() as device:
        await device.set_mode(Mode.EVENT_SLEEP)
        await device.set_workload("model", activity=10, seed=1)
        await device.set_marks(MarkStyle.GATE)
        async with device.armed(2, timeout_s=120) as armed:
            for _ in range(2):
                assert not sim.high("MARK")
                sim.drive("TRIG", high=True)
                await until(sim, high=True)
                sim.drive("TRIG", high=False)
                await until(sim, high=False)
        assert armed.served == 2
        for lap in await device.laps():  # the event's time is the kernel's, by the same clock
            assert lap.event_us <= lap.awake_us <= lap.ready_us <= lap.start_us
            assert lap.end_us - lap.start_us >= 500_000


async def test_pulses_rest_high(sim: Sim, agent: Agent) -> None:
    async with agent.device() as device:
        await device.set_marks(MarkStyle.PULSES)
        await until(sim, high=True)
        await device.set_marks(MarkStyle.GATE)
        await until(sim, high=False)


async def test_a_model_that_fails_leaves_the_marker_low(sim: Sim, tmp_path: Path) -> None:
    model = "def infer(data):\n    raise ValueError\n"
    with started(tmp_path, "--marker-line", f"{sim.chip}:0", model=model) as running:
        async with running.device() as device:
            await device.set_marks(MarkStyle.GATE)
            with pytest.raises(Exception, match="Callable raised ValueError"):
                await device.infer(1)
            assert not sim.high("MARK")
