"""What a link needs of whatever carries its bytes, a serial port or a connection."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol


class Carrier(Protocol):
    """Async context manager. Made with two callbacks for the event loop: `on_data` gets what came and when it was there (monotonic ns),
    `on_gone` is told once why nothing will come any more."""

    async def __aenter__(self) -> Carrier:
        """Raises PortFailure."""

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    async def write(self, data: bytes) -> None:
        """Returns when the system has taken all of it. Raises PortFailure."""
