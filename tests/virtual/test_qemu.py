"""An emulated board on the virtual bench: what QEMU's trace says, power, and an emulator that is not there or ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_virtual.bench import VirtualBench, run_bench
from labd_virtual.firmware_build import FirmwareError
from labd_virtual.followed import Shown
from labd_virtual.load import Phase, State
from labd_virtual.qemu import QEMU, QemuDevice, wiring
from labd_virtual.qemu_machine import LM3S6965EVB, MACHINES, MPS3_AN547, Machine, Trace, decode
from labd_virtual.spec import BenchSpec, FirmwareSpec, SpecError
from tests.firmware.emulated import FIRMWARE, image_of
from tests.virtual.test_followed import feed, until
from tests.virtual.test_uart import terminal

pytestmark = [pytest.mark.compiler, pytest.mark.emulator]

PORTS = LM3S6965EVB.wiring({0x40005000: "/machine/b", 0x40007000: "/machine/d"})
LEDS = MPS3_AN547.wiring({0: "/machine/core"})


def test_a_store_to_the_port_is_known_when_its_last_line_has_changed() -> None:
    trace = Trace(PORTS.reader())
    lines = [
        *(f"7@12.000005:pl061_set_output /machine/d setting output {line} to 1" for line in (0, 2, 3, 4, 5, 6)),
        "7@12.000006:pl061_set_output /machine/b setting output 7 to 1",
        "qemu-system-arm: warning: nic has no peer",
        "7@12.000007:pl061_set_output /machine/d setting output 7 to 1",
    ]
    (store,) = trace.feed("".join(f"{line}\n" for line in lines).encode())
    assert store.real_ns == 12_000_007_000
    assert store.shown == Shown(State.RUNNING, Phase.INFER, 1, 0.85)


def test_a_store_to_the_leds_is_one_line() -> None:
    trace = Trace(LEDS.reader())
    assert trace.feed(b"7@1795774336.959727:mps2_fpgaio_write MPS2 FPGAIO write: offset 0x1c data 0xbf size 4\n") == []
    (store,) = trace.feed(b"7@1795774336.959727:mps2_fpgaio_write MPS2 FPGAIO write: offset 0x0 data 0x9a size 4\n")
    assert store.real_ns == 1_795_774_336_959_727_000
    assert store.shown == Shown(State.SLEEP_RETAINED, Phase.SLEEP, 0)


@given(st.lists(st.integers(0, 255), max_size=20), st.lists(st.integers(1, 40), max_size=30))
def test_wherever_the_trace_is_cut_it_says_the_same(stores: list[int], cuts: list[int]) -> None:
    text = "".join(f"1@2.000003:mps2_fpgaio_write MPS2 FPGAIO write: offset 0x0 data {byte:#x} size 4\n" for byte in stores).encode()
    trace, found, at = Trace(LEDS.reader()), [], 0
    for cut in [*cuts, len(text)]:
        found += trace.feed(text[at : at + cut])
        at += cut
    assert [store.shown for store in found] == [shown for shown in map(decode, stores) if shown is not None]


@given(st.binary(max_size=200))
def test_nothing_that_is_no_trace_is_taken_for_one(noise: bytes) -> None:
    assert Trace(PORTS.reader()).feed(noise + b"\n") == []


def test_a_state_no_image_rests_in_is_passed_over() -> None:
    assert decode(5 << 3) is None
    assert decode(6 << 3) is None


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
async def test_the_machine_itself_says_where_its_lines_are(machine: Machine) -> None:
    qemu = shutil.which(QEMU)
    if qemu is None:
        pytest.skip(f"no {QEMU}: install qemu-system-arm")
    found = await wiring(qemu, machine)
    assert b"set_irq_in /machine/" in found.rise


async def test_a_machine_that_is_put_together_otherwise_is_told() -> None:
    qemu = shutil.which(QEMU)
    if qemu is None:
        pytest.skip(f"no {QEMU}: install qemu-system-arm")
    other = Machine("lm3s811evb", LM3S6965EVB.trace, "cmsdk-apb-uart", "uart[0]", LM3S6965EVB.wiring)
    with pytest.raises(FirmwareError, match="machine lm3s811evb has no cmsdk-apb-uart where the image expects one"):
        await wiring(qemu, other)
    with pytest.raises(FirmwareError, match="does not tell how its machine nucleo is put together"):
        await wiring(qemu, Machine("nucleo", "", "", "", LM3S6965EVB.wiring))


async def test_no_emulator_is_told_with_the_package_it_is_in(monkeypatch: pytest.MonkeyPatch, cached: Path) -> None:
    await asyncio.to_thread(image_of, LM3S6965EVB, cached)
    compiler = shutil.which("arm-none-eabi-gcc")
    assert compiler is not None
    only = cached / "bin"
    only.mkdir()
    (only / "arm-none-eabi-gcc").symlink_to(compiler)
    monkeypatch.setenv("PATH", str(only))
    with pytest.raises(FirmwareError, match=r"no qemu-system-arm: .*apt-get install qemu-system-arm"):
        async with run_bench(spec(LM3S6965EVB.name), cache=cached):
            pass


async def test_an_emulated_board_needs_a_bench_in_real_time(cached: Path) -> None:
    await asyncio.to_thread(image_of, LM3S6965EVB, cached)
    with pytest.raises(SpecError, match="the bench's must be 'real', not 'stepped'"):
        async with run_bench(spec(LM3S6965EVB.name, time="stepped"), cache=cached):
            pass


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """Where images are built to."""
    return tmp_path


def spec(target: str, *, time: str = "real") -> BenchSpec:
    return BenchSpec(time=time, firmware=FirmwareSpec(dir=str(FIRMWARE), target=target, delay_s=0.005))


@asynccontextmanager
async def powered(machine: Machine, cache: Path) -> AsyncIterator[VirtualBench]:
    """Booted: it rests."""
    await asyncio.to_thread(image_of, machine, cache)
    async with run_bench(spec(machine.name), cache=cache, keep_truth=True) as bench:
        feed(bench, 3.0)
        await until(lambda: rests(bench))
        yield bench


def rests(bench: VirtualBench) -> bool:
    return bench.board.silicon.doing.state is State.WFI


async def said(fd: int, text: str) -> str:
    """What came, once the text was in it."""
    got = b""

    def came() -> bool:
        nonlocal got
        try:
            got += os.read(fd, 4096)
        except BlockingIOError:
            return False
        return text.encode() in got

    await until(came)
    return got.decode()


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
async def test_it_boots_and_dies_with_its_supply_and_speaks_over_the_board_s_line(machine: Machine, tmp_path: Path) -> None:
    async with powered(machine, tmp_path) as bench, terminal(bench.board.uart.path) as fd:
        for boots in (1, 2):
            assert (await said(fd, "m-ready\r\n")).startswith("m-timestamp-mode-performance\r\n")
            os.write(fd, b"name%")
            assert await said(fd, "m-ready\r\n") == "m-name-dut-[labd]\r\nm-ready\r\n"
            assert bench.board.silicon.counts.boots == boots
            if boots == 1:
                feed(bench, 0.0)
                await until(lambda: bench.board.silicon.doing.state is State.UNPOWERED)
                feed(bench, 3.0)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
async def test_the_trigger_pin_wakes_it_and_the_truth_knows(machine: Machine, tmp_path: Path) -> None:
    async with powered(machine, tmp_path) as bench, terminal(bench.board.uart.path) as fd:
        await said(fd, "m-ready\r\n")
        os.write(fd, b"mode event_sleep%")
        await said(fd, "m-mode-[event_sleep]\r\nm-ready\r\n")
        os.write(fd, b"arm 1 60000%")
        await until(lambda: bench.board.silicon.doing.state is State.SLEEP_RETAINED)
        bench.board.pins.drive("TRIG", 1)
        assert "m-arm-done-1" in await said(fd, "m-ready\r\n")
        bench.board.pins.drive("TRIG", 0)
        await until(lambda: any(r["kind"] == "event" for r in bench.truth))
        (event,) = [r for r in bench.truth if r["kind"] == "event"]
        assert event["cause"] == "trig"
        assert len(event["windows"]) == 1
        assert event["rest"]["state"] == State.SLEEP_RETAINED


async def test_an_emulator_that_ends_leaves_a_dead_board_until_the_supply_goes(tmp_path: Path) -> None:
    async with powered(LM3S6965EVB, tmp_path) as bench:
        device = bench.board.silicon._device  # type: ignore[union-attr]
        assert isinstance(device, QemuDevice)
        assert device._process is not None
        os.kill(device._process._pid, signal.SIGKILL)
        await until(lambda: bench.board.silicon.counts.crashed)
        assert bench.board.silicon.counts.crashed.startswith("the emulator ended")
        # A pipe at its end is ready at every turn of the loop: nobody may go on reading it.
        watched = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]
        await until(lambda: device._process is not None and device._process._log not in watched)
        assert bench.board.silicon.doing.state is State.BUSY_POLL
        feed(bench, 0.0)
        await until(lambda: bench.board.silicon.doing.state is State.UNPOWERED)
        feed(bench, 3.0)
        await until(lambda: rests(bench))


FOLLOWER = """
import asyncio, sys, pathlib
from labd_virtual.qemu import emulated
from labd_virtual.qemu_machine import LM3S6965EVB

class Nobody:
    runs = False
    def shows(self, shown, host_ns=None): self.runs = True
    def sends(self, payload): pass
    def ended(self, reason): pass

async def main():
    device = await emulated(LM3S6965EVB, pathlib.Path(sys.argv[1]))
    nobody = Nobody()
    device.start(nobody)
    while not nobody.runs:
        await asyncio.sleep(0.01)
    print(device._process._pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_bench_that_is_killed_leaves_no_emulator_behind(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv: install util-linux")
    image = await asyncio.to_thread(image_of, LM3S6965EVB, tmp_path)
    bench = await asyncio.create_subprocess_exec(sys.executable, "-c", FOLLOWER, str(image), stdout=asyncio.subprocess.PIPE)
    assert bench.stdout is not None
    async with asyncio.timeout(60):
        emulator = int(await bench.stdout.readline())
    bench.kill()
    await bench.wait()
    await until(lambda: not alive(emulator))


def alive(pid: int) -> bool:
    """A zombie whose parent has not looked yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
