"""The libgpiod link on a chip of a real kernel: `make test-gpio` runs this in its virtual machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from labd.bench.seen_line import gates, seen
from labd.dut.errors import LineFailure
from labd.dut.gpio_chip import Wire
from labd.dut.gpio_link import KERNEL_KEEPS, GpioLink, GpioSettings
from labd.dut.handshake import Handshake
from labd.errors import DataLost
from labd.trigger.firing import GpioPulse
from labd.trigger.process import trigger
from tests.gpio.sim import Sim, simulated, traced

MS = 1_000_000
FAR_NS = 600_000 * MS
PATIENCE_S = 120.0
NAMES = ("TRIG", "READY", "GATE")


@pytest.fixture
def sim() -> Iterator[Sim]:
    with simulated(NAMES) as made:
        yield made


@pytest.fixture
async def link(sim: Sim) -> AsyncIterator[GpioLink]:
    settings = GpioSettings(sim.chip, outputs={"go": Wire("TRIG")}, inputs={"ready": Wire("READY"), "gate": Wire(2)})
    async with GpioLink(settings) as opened:
        yield opened


async def test_a_chip_is_found_by_its_label_and_its_name(sim: Sim) -> None:
    for chip in ("labd-sim", sim.chip, sim.chip.removeprefix("/dev/")):
        async with GpioLink(GpioSettings(chip, inputs={"ready": Wire("READY")})) as link:
            assert await link.line("ready").get() is False


async def test_an_output_floats_until_the_supply_is_up_and_again_before_it_goes(sim: Sim, link: GpioLink) -> None:
    """While nobody drives it, the board's own pull decides."""
    go = link.line("go")
    sim.drive("TRIG", high=True)
    assert sim.high("TRIG")
    with pytest.raises(LineFailure, match="go floats while the DUT has no supply"):
        await go.set(active=True)
    await link.connect()
    assert not sim.high("TRIG")
    await go.set(active=True)
    assert sim.high("TRIG")
    await go.set(active=False)
    assert not sim.high("TRIG")
    sim.drive("TRIG", high=False)
    await go.set(active=True)
    await link.disconnect()
    for high in (False, True, False):  # the simulated pin keeps its level until its pull is set anew
        sim.drive("TRIG", high=not high)
        sim.drive("TRIG", high=high)
        assert sim.high("TRIG") is high


async def test_an_active_low_output_is_inactive_when_it_is_high(sim: Sim) -> None:
    async with GpioLink(GpioSettings(sim.chip, outputs={"go": Wire("TRIG", active_low=True)})) as link:
        await link.connect()
        assert sim.high("TRIG")
        await link.line("go").set(active=True)
        assert not sim.high("TRIG")


async def test_edges_come_in_order_with_the_kernels_time(sim: Sim, link: GpioLink) -> None:
    edges = link.line("ready").edges()
    for high in (True, False) * 100:
        before_ns = time.monotonic_ns()
        sim.drive("READY", high=high)
        after_ns = time.monotonic_ns()
        edge = await anext(edges)
        assert edge.rising is high
        assert before_ns <= edge.t_ns <= after_ns
        assert edge.earliest_ns == edge.t_ns
    await edges.aclose()


async def test_what_the_kernel_drops_is_found_and_counted(sim: Sim, link: GpioLink) -> None:
    """The event loop stands still meanwhile, as if labd were far too slow."""
    burst = 3000
    for number in range(burst):
        sim.drive("READY", high=number % 2 == 0)
    with pytest.raises(
        DataLost, match=f"ready: {burst - KERNEL_KEEPS} edges of this chip were lost, {burst - KERNEL_KEEPS} of them of this line"
    ):
        await anext(link.line("ready").edges())
    edges = link.line("ready").edges()
    assert len([await anext(edges) for _ in range(KERNEL_KEEPS)]) == KERNEL_KEEPS
    await edges.aclose()
    with pytest.raises(DataLost, match=f"gate: {burst - KERNEL_KEEPS} edges of this chip were lost"):
        await anext(link.line("gate").edges())


async def test_edges_that_come_faster_than_the_kernel_takes_them_are_not_lost_unseen(sim: Sim, link: GpioLink) -> None:
    """Each edge that was driven is read, or a loss is told. The gate's edge comes last: it shows what the kernel took before it."""
    count = 200
    for number in range(count):
        sim.drive("READY", high=number % 2 == 0)
    await asyncio.sleep(0.5)
    sim.drive("GATE", high=True)
    seen, losses = 0, 0
    for name in ("gate", "ready"):
        try:
            async with asyncio.timeout(5.0), aclosing(link.line(name).edges()) as edges:
                async for _ in edges:
                    seen += 1
        except DataLost:
            losses += 1
        except TimeoutError:
            pass
    assert seen == count + 1 or losses


async def test_the_trigger_process_moves_the_line_when_it_says_so(sim: Sim, link: GpioLink) -> None:
    """The kernel's own trace is the truth: each pulse rises while the call that fires is under way, never before its instant."""
    await link.connect()
    descriptor, bit = link.pulsed_at("go")
    with traced() as seen:
        async with trigger(descriptor) as process:
            firings = await process.fire(
                GpioPulse(descriptor, bit, 2 * MS),
                [k * 100 * MS for k in range(10)],
                start_ns=time.monotonic_ns() + 1000 * MS,
                late_ns=FAR_NS,
            )
        levels = seen()
    assert [firing.fired for firing in firings] == [True] * 10
    assert [level for _, level in levels] == [True, False] * 10
    for firing, (t_ns, _), (end_ns, _) in zip(firings, levels[::2], levels[1::2], strict=True):
        assert firing.planned_ns <= firing.began_ns <= t_ns + 1000
        assert t_ns - 1000 <= firing.done_ns
        assert end_ns - t_ns >= 2 * MS - 1000
    assert not sim.high("TRIG")


async def test_what_is_fired_is_seen_as_gates_on_the_firings_own_axis(sim: Sim, link: GpioLink) -> None:
    """The DUT answers each pulse with a gate of at least 20 ms; an edge of before is none of it."""
    await link.connect()
    sim.drive("GATE", high=True)
    sim.drive("GATE", high=False)
    descriptor, bit = link.pulsed_at("go")

    def dut() -> None:
        for _ in range(5):
            while not sim.high("TRIG"):
                time.sleep(0.0005)
            sim.drive("GATE", high=True)
            time.sleep(0.02)
            sim.drive("GATE", high=False)

    working = asyncio.create_task(asyncio.to_thread(dut))
    async with trigger(descriptor) as process, seen(link.line("gate")) as shown:
        assert shown is not None
        pulse = GpioPulse(descriptor, bit, 10 * MS)
        firings = await process.fire(pulse, [k * 400 * MS for k in range(5)], start_ns=time.monotonic_ns() + 1000 * MS, late_ns=FAR_NS)
        await working
    found = gates(shown, firings)
    assert (found.lost, len(found.gates_s), len(found.fired_s)) == ("", 5, 5)
    for (began_s, _), (up_s, _, down_s, _) in zip(found.fired_s, found.gates_s, strict=True):
        assert began_s <= up_s <= down_s - 0.02


async def test_ready_go_gate(sim: Sim, link: GpioLink) -> None:
    """The DUT raises READY when it is powered, and shows one window for each GO."""
    await link.connect()
    handshake = Handshake(link.line("ready"), link.line("go"), link.line("gate"))

    def dut() -> None:
        sim.drive("READY", high=True)
        while not sim.high("TRIG"):
            time.sleep(0.001)
        for _ in range(3):
            sim.drive("GATE", high=True)
            time.sleep(0.02)
            sim.drive("GATE", high=False)
            time.sleep(0.02)

    working = asyncio.create_task(asyncio.to_thread(dut))
    since_ns = time.monotonic_ns()
    async with handshake.going(timeout_s=PATIENCE_S):
        gates = await handshake.gates(3, since_ns=since_ns, timeout_s=PATIENCE_S)
    await working
    assert all(gate.length_s >= 0.02 for gate in gates)
    assert not sim.high("TRIG")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            lambda chip: GpioSettings(chip, inputs={"ready": Wire("RAEDY")}),
            r"ready: there is no line 'RAEDY'; offsets are 0 to 7, names: TRIG",
        ),
        (lambda chip: GpioSettings(chip, inputs={"ready": Wire(8)}), r"there is no line 8; offsets are 0 to 7"),
        (
            lambda chip: GpioSettings(chip, inputs={"a": Wire(0), "b": Wire("TRIG")}),
            r"b: line 'TRIG' has another name on this bench already",
        ),
        (lambda chip: GpioSettings("gpiochip77"), r"gpiochip77: there is no such GPIO chip; there are /dev/gpiochip\d \(labd-sim\)"),
    ],
)
async def test_what_is_not_there_is_named(sim: Sim, settings: object, says: str) -> None:
    assert callable(settings)
    with pytest.raises(LineFailure, match=says):
        async with GpioLink(settings(sim.chip)):
            pass


async def test_a_line_that_another_holds_is_refused_with_its_name(sim: Sim, link: GpioLink) -> None:
    with pytest.raises(LineFailure, match="line 'TRIG' is held by labd"):
        async with GpioLink(GpioSettings(link.settings.chip, outputs={"go": Wire("TRIG")})):
            pass


async def test_closed_lines_end_who_reads_them(sim: Sim) -> None:
    async with GpioLink(GpioSettings(sim.chip, inputs={"ready": Wire("READY")})) as link:
        edges = link.line("ready").edges()
    with pytest.raises(LineFailure, match="its lines are closed"):
        await anext(edges)
