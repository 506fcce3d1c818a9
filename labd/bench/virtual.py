"""A virtual bench as a child process, met through sockets and a pty like a real one; its clock through a control channel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from labd import host
from labd.bench.clock import LEAST_BEHIND_S, Pace
from labd.deadline import deadline
from labd.errors import InstrumentFailure
from labd_instruments.checks import Clock

START_S = 60.0  # compiling the firmware is in it
STOP_S = 5.0
_OF_SPEC = "labd_virtual: spec: "


class WrongSpec(InstrumentFailure):
    """What a virtual bench is to be made of is wrong. key: in its spec; text: what about it."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"the virtual bench did not start: {key}: {text}")
        self.key, self.text = key, text


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to meet a virtual bench. instruments: name to VISA resource. uart: the board's port."""

    instruments: Mapping[str, str]
    uart: str
    control: tuple[str, int]


class ControlChannel:
    """One line of JSON each way. Safe from several threads; a request waits until the bench has answered, the first one connects."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def ask(self, **request: object) -> dict[str, Any]:
        """Raises InstrumentFailure when the bench refuses or is gone."""
        with self._lock:
            try:
                if self._socket is None:
                    self._connect()
                self._lines.write(json.dumps(request).encode() + b"\n")
                self._lines.flush()
                line = self._lines.readline()
            except OSError as error:
                raise InstrumentFailure(f"the virtual bench does not answer {request.get('op')}: {error}") from error
        if not line:
            raise InstrumentFailure(f"the virtual bench ended before it answered {request.get('op')}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise InstrumentFailure(f"the virtual bench refused {request.get('op')}: {answer['error']}")
        return answer

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address, timeout=START_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rwb")

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._lines.close()
            self._socket.close()


class BoardTime:
    """The virtual bench's clock as a BenchClock. Sleeping has a channel of its own: drivers ask the time meanwhile."""

    def __init__(self, address: tuple[str, int], *, stepped: bool) -> None:
        self.stepped = stepped
        self._address = address
        self._asking = ControlChannel(address)
        # in stepped time nobody is late; in real time the request itself takes time
        self.for_drivers = Clock("virtual bench's clock", self._now_s, 0.0 if stepped else LEAST_BEHIND_S)

    async def sleep(self, seconds: float) -> None:
        await self._request({"op": "sleep", "ns": round(seconds * 1e9)})

    async def pace(self) -> Pace:
        if self.stepped:
            return Pace()
        told = await self._request({"op": "behind"})
        return Pace(told["worst_ns"] * 1e-9, told["late"])

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        if not self.stepped:
            yield
            return
        await self._request({"op": "freeze"})
        try:
            yield
        finally:
            await self._request({"op": "thaw"})

    def close(self) -> None:
        self._asking.close()

    def _now_s(self) -> float:
        return float(self._asking.ask(op="now")["t_ns"]) * 1e-9

    async def _request(self, request: Mapping[str, object]) -> dict[str, Any]:
        try:
            reader, writer = await asyncio.open_connection(*self._address)
        except OSError as error:
            raise InstrumentFailure(f"the virtual bench is gone, it cannot {request['op']}: {error}") from error
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            line = await reader.readline()
            answer: dict[str, Any] = json.loads(line or b"{}")
            if not line or "error" in answer:
                raise InstrumentFailure(f"the virtual bench did not {request['op']}: {line.decode(errors='replace').strip() or 'it ended'}")
            return answer
        finally:
            writer.close()


@asynccontextmanager
async def virtual_bench(spec: Mapping[str, object], *, arguments: Sequence[str] = ()) -> AsyncIterator[Addresses]:
    """A bench process for the length of the `async with`; it ends with its standard input, so it never outlives labd.

    arguments: further ones of `python -m labd_virtual`, such as --truth for evidence code.

    It gets a process group of its own: Ctrl-C in a terminal reaches labd, which switches the virtual outputs off before it ends the bench.
    Raises InstrumentFailure with the bench's own line when it does not start (no C compiler), WrongSpec where the spec is at fault.
    """
    if not host.HAS_VIRTUAL_BENCH:
        raise InstrumentFailure("a virtual bench needs pseudo-terminals, which this system has not: Linux and macOS have")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "labd_virtual",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        **host.apart(),
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        process.stdin.write(json.dumps(spec).encode() + b"\n")
        await process.stdin.drain()
        async with deadline(START_S):
            line = await process.stdout.readline()
        if not line:
            complaint = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
            last = complaint[-1] if complaint else "no reason given"
            if last.startswith(_OF_SPEC):
                key, _, text = last.removeprefix(_OF_SPEC).partition(": ")
                raise WrongSpec(key, text)
            raise InstrumentFailure(f"the virtual bench did not start: {last}")
        yield _addresses(json.loads(line))
    finally:
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        async with deadline(STOP_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()


def _addresses(ready: Mapping[str, Any]) -> Addresses:
    host, port = ready["control"]
    return Addresses(ready["instruments"], ready["uart"], (str(host), int(port)))
