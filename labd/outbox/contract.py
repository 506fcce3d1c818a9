"""An outbox: messages wait in order, are lent in batches, and leave when they are accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """What to send. address: where on the server (a topic, a measurement). t_ns: when what it tells of happened, UTC; to until_ns where
    it tells of more than one instant. points: how many it tells of."""

    address: str
    body: bytes
    t_ns: int
    until_ns: int = 0
    points: int = 1


@dataclass(frozen=True, slots=True)
class Lent:
    """One lent message; its id ascends in the order in which messages were put."""

    id: int
    message: Message


@dataclass(frozen=True, slots=True)
class Caps:
    """What an outbox may hold; beyond it the oldest are dropped, and counted. age_s: since they were put, however old the news is."""

    bytes: int = 256 << 20
    age_s: float = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Gap:
    """What the caps have dropped: messages and points, from the first to the last instant that they told of."""

    first_ns: int
    last_ns: int
    messages: int
    points: int


@dataclass(frozen=True, slots=True)
class Books:
    """What went through. waiting, waiting_bytes: now. dropped: by the caps. rejected: nobody will ever take them. oldest_ns: when the
    oldest that waits was put, None where none does."""

    waiting: int
    waiting_bytes: int
    dropped: int
    rejected: int
    oldest_ns: int | None = None


class Outbox(Protocol):
    """Used from one thread. What was put is kept when the method returns, over kill -9 where it is kept on disk.

    A batch that was lent when the process died waits again. Raises StoreError.
    """

    def put(self, messages: Sequence[Message], *, source: str = "", cursor: int = 0) -> None:
        """All of them and the place in their source that they came from, or nothing: what feeds an outbox neither loses nor doubles."""

    def cursor(self, source: str) -> int:
        """The place of the last `put` from this source; 0 before the first."""

    def lend(self, most: int, *, newest: bool = False, most_bytes: int | None = None) -> list[Lent]:
        """The oldest that are not lent, or the newest, in their order; where most_bytes is given no more together, but always one."""

    def accept(self, lent: Sequence[Lent]) -> None:
        """They have arrived."""

    def keep(self, lent: Sequence[Lent]) -> None:
        """They have not: they wait again, at their place."""

    def release(self) -> None:
        """Whoever had something lent is gone: all of it waits again."""

    def reject(self, lent: Sequence[Lent]) -> None:
        """Nobody will ever take them: they go, counted."""

    def tell_gap(self, told: Callable[[Gap], Message]) -> bool:
        """Put what `told` makes of all that was dropped since the last time, which is forgotten with it. False where nothing was."""

    def books(self) -> Books: ...

    def close(self) -> None: ...
