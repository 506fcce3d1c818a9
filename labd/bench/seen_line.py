"""What this host sees of a capture on a line from the board, while it fires: the gates of the inferences, by the kernel's time stamps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

from labd.dut.lines import Edge, Line
from labd.errors import DataLost
from labd.records import HostGates
from labd.trigger.firing import Firing

SETTLE_S = 0.05  # what the kernel has goes through the event loop
NO_PULSE = "the line did not rise and fall in turn"


@dataclass(slots=True)
class Seen:
    """lost: of the first gap, empty where there was none."""

    edges: list[Edge] = field(default_factory=list)
    lost: str = ""


@asynccontextmanager
async def seen(line: Line | None) -> AsyncIterator[Seen | None]:
    """The edges of `line` from now until this ends, in what it yields; None where there is no line. What came before is forgotten."""
    if line is None:
        yield None
        return
    line.forget()
    began_ns = time.monotonic_ns()  # and what the kernel had not given yet
    found = Seen()
    task = asyncio.create_task(_collect(line, found, began_ns), name="line from the board")
    try:
        yield found
        await asyncio.sleep(SETTLE_S)
    finally:
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


async def _collect(line: Line, found: Seen, began_ns: int) -> None:
    """Without end. Raises LineFailure."""
    while True:
        with suppress(DataLost):
            async with aclosing(line.edges()) as edges:
                try:
                    async for edge in edges:
                        if edge.t_ns >= began_ns:
                            found.edges.append(edge)
                except DataLost as error:
                    found.lost = found.lost or str(error)
                    raise


def gates(found: Seen, firings: Sequence[Firing]) -> HostGates:
    """Of all edges seen; without any where they do not alternate from a rise."""
    zero_ns = min((one.planned_ns for one in firings), default=0)
    fired = tuple(((one.began_ns - zero_ns) * 1e-9, (one.done_ns - zero_ns) * 1e-9) for one in firings if one.fired)
    rises, falls = found.edges[0::2], found.edges[1::2]
    turned = len(rises) == len(falls) and all(edge.rising for edge in rises) and not any(edge.rising for edge in falls)
    if not turned:
        return HostGates(fired, (), found.lost or NO_PULSE)
    instants = (
        tuple((ns - zero_ns) * 1e-9 for ns in (up.earliest_ns, up.t_ns, down.earliest_ns, down.t_ns))
        for up, down in zip(rises, falls, strict=True)
    )
    return HostGates(fired, tuple((a, b, c, d) for a, b, c, d in instants), found.lost)
