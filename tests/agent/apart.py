"""The agent as a process of its own, and models for it to run."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from labd.dut.agent_link import ANSWER_S, AgentLink, read_key
from labd.dut.device import Device

AGENT = Path(__file__).parents[2] / "labd/agent.py"
FREE = "127.0.0.1:0"

# obeys the first byte of its input
OBEDIENT = """
import os, signal, time
INPUT_BYTES = 4
loads = 0

def load():
    global loads
    loads += 1
    return {"loads": loads}

def infer(model, data):
    if data[:1] == b"E": raise ValueError("no such\\nthing")
    if data[:1] == b"H": time.sleep(1000)
    if data[:1] == b"X": os._exit(3)
    if data[:1] == b"S": os.kill(os.getpid(), signal.SIGSEGV)
    if data[:1] == b"L": return [float(model["loads"])]
    if data[:1] == b"W": time.sleep(0.02)
    return [byte / 3 for byte in data]
"""


@dataclass(frozen=True, slots=True)
class Agent:
    """A running agent. place: as a link takes it."""

    process: subprocess.Popen[str]
    place: str
    key_file: Path

    @property
    def key(self) -> bytes:
        return read_key(self.key_file)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    @asynccontextmanager
    async def device(self, *, baud: int | None = None, marker_wired: bool = True) -> AsyncIterator[Device]:
        async with AgentLink(self.place, self.key, baud=baud) as link:
            device = Device(link, answer_s=ANSWER_S, marker_wired=marker_wired)
            await device.identify()
            yield device


def make_key(folder: Path) -> Path:
    path = folder / "agent.key"
    if not path.exists():
        subprocess.run([sys.executable, str(AGENT), "--key-file", str(path), "--make-key"], check=True, timeout=60)
    return path


@contextmanager
def started(folder: Path, *options: str, model: str = OBEDIENT, listen: str = FREE) -> Iterator[Agent]:
    """options: further ones; without a `--callable` or `--command` among them it runs `model`."""
    if not {"--callable", "--command"} & set(options):
        (folder / "model.py").write_text(model, encoding="utf-8")
        options = ("--callable", f"{folder / 'model.py'}:infer", *options)
    key_file = make_key(folder)
    with launched(["--key-file", str(key_file), "--listen", listen, *options]) as (process, place):
        yield Agent(process, place, key_file)


@contextmanager
def serial_cable() -> Iterator[tuple[str, str]]:
    """Two serial ports, each hearing what is said at the other."""
    pairs = [os.openpty() for _ in range(2)]
    masters = [master for master, _ in pairs]
    for _, slave in pairs:
        tty.setraw(slave, termios.TCSANOW)
    ended_r, ended_w = os.pipe()

    def carry() -> None:
        while True:
            ready, _, _ = select.select([*masters, ended_r], [], [])
            if ended_r in ready:
                return
            for master in ready:
                os.write(masters[1 - masters.index(master)], os.read(master, 4096))

    thread = threading.Thread(target=carry, name="serial cable", daemon=True)
    thread.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        os.write(ended_w, b"x")
        thread.join(20)
        for end in (*masters, *(slave for _, slave in pairs), ended_r, ended_w):
            os.close(end)


@contextmanager
def launched(arguments: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and what it serves by its own word."""
    process = subprocess.Popen([sys.executable, str(AGENT), *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        yield process, said.removeprefix("labd agent: serving ").strip()
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
