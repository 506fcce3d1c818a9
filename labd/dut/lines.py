"""A line between the host and the DUT, whatever carries it: a GPIO, a serial port's modem line, or a wire of a test."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of level. It happened after earliest_ns and not after t_ns, host's monotonic clock; both are the same where the kernel
    stamps it in its interrupt."""

    rising: bool
    earliest_ns: int
    t_ns: int


class Line(Protocol):
    """One line. Levels are logical: active is low where the line is declared so. Everything raises LineFailure."""

    async def set(self, *, active: bool) -> None:
        """Drive it; only an output has this."""

    async def get(self) -> bool:
        """Whether it is active now."""

    def edges(self) -> AsyncGenerator[Edge, None]:
        """Every edge since the line was opened or the edges were asked for last, in order, without end. Raises DataLost where one was lost,
        and goes on behind the gap when it is asked again. Only an input has this, and one reader at a time."""

    def forget(self) -> None:
        """Edges until now that nobody has read, and gaps among them."""

    async def close(self) -> None:
        """Drive it no more, hear nothing of it any more."""
