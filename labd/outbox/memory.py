"""An outbox that ends with the process: for sinks whose messages mean nothing afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from labd.outbox.contract import Books, Caps, Lent, Message


class MemoryOutbox:
    """See `Outbox`."""

    def __init__(self, caps: Caps | None = None, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._caps = caps or Caps()
        self._now_ns = now_ns
        # size: caps.bytes; policy: the oldest is dropped; counter: books.dropped
        self._waiting: dict[int, Message] = {}
        self._lent: set[int] = set()
        self._cursors: dict[str, int] = {}
        self._last_id = 0
        self._dropped = 0
        self._rejected = 0

    def put(self, messages: Sequence[Message], *, source: str = "", cursor: int = 0) -> None:
        for message in messages:
            self._last_id += 1
            self._waiting[self._last_id] = message
        if source:
            self._cursors[source] = cursor
        self._drop()

    def cursor(self, source: str) -> int:
        return self._cursors.get(source, 0)

    def lend(self, most: int) -> list[Lent]:
        ids = [number for number in self._waiting if number not in self._lent][:most]
        self._lent.update(ids)
        return [Lent(number, self._waiting[number]) for number in ids]

    def accept(self, lent: Sequence[Lent]) -> None:
        self._take(lent)

    def keep(self, lent: Sequence[Lent]) -> None:
        self._lent.difference_update(one.id for one in lent)

    def release(self) -> None:
        self._lent.clear()

    def reject(self, lent: Sequence[Lent]) -> None:
        self._rejected += self._take(lent)

    def books(self) -> Books:
        return Books(len(self._waiting), sum(len(m.body) for m in self._waiting.values()), self._dropped, self._rejected)

    def close(self) -> None:
        """Nothing is kept."""

    def _take(self, lent: Sequence[Lent]) -> int:
        taken = [one.id for one in lent if self._waiting.pop(one.id, None) is not None]
        self._lent.difference_update(one.id for one in lent)
        return len(taken)

    def _drop(self) -> None:
        oldest_ns = self._now_ns() - round(self._caps.age_s * 1e9)
        held = sum(len(message.body) for message in self._waiting.values())
        for number, message in list(self._waiting.items()):
            if held <= self._caps.bytes and message.t_ns >= oldest_ns:
                break
            del self._waiting[number]
            self._lent.discard(number)
            held -= len(message.body)
            self._dropped += 1
