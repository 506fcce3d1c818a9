"""The process that fires: started with a socket and the descriptors it needs, given instants, called off, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from labd import host
from labd.deadline import deadline
from labd.errors import DutFailure
from labd.trigger.firing import LATE_NS, LONGEST_PULSE_NS, Bytes, Firing, Footing, GpioPulse, Missed, ModemPulse, Target

START_S = 20.0
ENDS_S = 5.0  # after it was called off
LINE_MAX = 1 << 16
LEAD_NS = 20_000_000  # from the giving of a job to its start: what a busy host takes to hand it over


class TriggerFailure(DutFailure):
    """The process that fires did not start, ended, or could not fire: the port, connection or line is gone or cannot do it."""


class Trigger:
    """A running process. footing: what the system let it have."""

    def __init__(self, footing: Footing, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.footing = footing
        self._reader = reader
        self._writer = writer

    async def fire(self, target: Target, offsets_ns: Sequence[int], *, start_ns: int | None = None, late_ns: int = LATE_NS) -> list[Firing]:
        """Fire `target` at each of `offsets_ns`, ascending, after start_ns (host's monotonic clock; now, where it is None). Returns what
        became of each of them once the last was due; cancelled, it fires no more when this returns.

        Raises TriggerFailure.
        """
        start_ns = time.monotonic_ns() + LEAD_NS if start_ns is None else start_ns
        at_ns = [start_ns + offset for offset in offsets_ns]
        job = json.dumps({"target": _told(target), "at_ns": at_ns}).encode()
        firings: list[Firing] = []
        try:
            await self._send(job)
            await self._hear(target, at_ns, late_ns, firings)
        except asyncio.CancelledError:
            await self._call_off()
            raise
        return firings

    async def _hear(self, target: Target, at_ns: Sequence[int], late_ns: int, firings: list[Firing]) -> None:
        failure: TriggerFailure | None = None
        while (line := await self._line()) != "end":
            word, number, *rest = line.split()
            k, first, second = int(number), int(rest[0]), int(rest[1])
            if word == "failed":
                failure = TriggerFailure(f"trigger {k + 1} of {len(at_ns)} could not be fired on {_named(target)}: {_why(target, first)}")
            else:
                firings.append(Firing(at_ns[k], first, second, _missed(word, first - at_ns[k], late_ns)))
        if failure is not None:
            raise failure

    async def _call_off(self) -> None:
        """Wait for its word that it fires no more; what does not give it is killed by whoever started it."""
        with contextlib.suppress(TimeoutError, TriggerFailure):
            async with deadline(ENDS_S):
                await self._send(b"")
                while await self._line() != "end":
                    pass

    async def _send(self, job: bytes) -> None:
        try:
            self._writer.write(len(job).to_bytes(4, "big") + job)
            await self._writer.drain()
        except OSError as error:
            raise TriggerFailure(f"the process that fires the DUT is gone: {error.strerror or error}") from error

    async def _line(self) -> str:
        try:
            line = await self._reader.readline()
        except OSError as error:
            raise TriggerFailure(f"the process that fires the DUT is gone: {error.strerror or error}") from error
        if not line.endswith(b"\n"):
            raise TriggerFailure("the process that fires the DUT ended in the middle of its work")
        return line.decode().rstrip("\n")


@asynccontextmanager
async def trigger(*descriptors: int) -> AsyncIterator[Trigger]:
    """A process that may fire on these descriptors, for the length of the `async with`. It ends with this one, kill -9 included: nothing is
    fired by a process that nobody waits for. Raises TriggerFailure."""
    if not host.HAS_TRIGGER:
        raise TriggerFailure("firing from this host needs Linux; let the device pace itself or an instrument fire it")
    ours, theirs = socket.socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "labd.trigger",
            str(theirs.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(theirs.fileno(), *descriptors),
            **host.apart(),
        )
    except OSError as error:
        ours.close()
        raise TriggerFailure(f"the process that fires the DUT cannot be started: {error}") from error
    finally:
        theirs.close()
    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_MAX)
        yield Trigger(await _begun(process, reader), reader, writer)
    finally:
        if writer is None:
            ours.close()
        else:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await _end(process)


async def _begun(process: asyncio.subprocess.Process, reader: asyncio.StreamReader) -> Footing:
    line = b""
    try:
        async with deadline(START_S):
            line = await reader.readline()
    except TimeoutError as error:
        raise TriggerFailure(f"the process that fires the DUT did not start within {START_S:g} s") from error
    if not line and process.stderr is not None:
        said = (await process.stderr.read()).decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise TriggerFailure(f"the process that fires the DUT did not start: {said[-1]}")
    return Footing(**json.loads(line))


async def _end(process: asyncio.subprocess.Process) -> None:
    """It ends when its socket is closed; what hangs in a device's driver is killed, and by then fires no more."""
    try:
        async with deadline(ENDS_S):
            await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _told(target: Target) -> dict[str, object]:
    """Raises TriggerFailure for what nobody can fire."""
    match target:
        case Bytes(descriptor, data):
            if not data:
                raise TriggerFailure("expected at least one byte to fire with, got none")
            return {"kind": "bytes", "descriptor": descriptor, "data": data.hex()}
        case ModemPulse():
            if target.line not in {"rts", "dtr"}:
                raise TriggerFailure(f'a serial port has the outputs "rts" and "dtr", got "{target.line}"')
            kind = "modem"
        case GpioPulse():
            kind = "gpio"
    if not 0 < target.pulse_ns <= LONGEST_PULSE_NS:
        raise TriggerFailure(
            f"expected a pulse of more than 0 and at most {LONGEST_PULSE_NS * 1e-6:g} ms, got {target.pulse_ns * 1e-6:g} ms"
        )
    return {"kind": kind, **asdict(target)}


def _named(target: Target) -> str:
    match target:
        case Bytes():
            return "the port or connection"
        case ModemPulse():
            return f"the port's {target.line.upper()} line"
        case GpioPulse():
            return "the GPIO line"


def _why(target: Target, number: int) -> str:
    if number == errno.ENOTTY and isinstance(target, ModemPulse):
        return "it has no modem lines (a pseudo-terminal has none)"
    return os.strerror(number)


def _missed(word: str, late_by_ns: int, late_ns: int) -> Missed | None:
    if word == "fired":
        return Missed.LATE if late_by_ns > late_ns else None
    return Missed.SKIPPED if word == "skipped" else Missed.NOT_TAKEN
