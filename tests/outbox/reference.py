"""The contract of an outbox in its plainest form, in memory: what the one on disk is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from labd.outbox.contract import Books, Caps, Gap, Lent, Message


class PlainOutbox:
    """See `Outbox`."""

    def __init__(self, caps: Caps | None = None, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._caps = caps or Caps()
        self._now_ns = now_ns
        # size: caps.bytes; policy: the oldest is dropped; counter: books.dropped
        self._waiting: dict[int, Message] = {}
        self._put_ns: dict[int, int] = {}
        self._lent: set[int] = set()
        self._cursors: dict[str, int] = {}
        self._last_id = 0
        self._dropped = 0
        self._rejected = 0
        self._gaps: list[Message] = []

    def put(self, messages: Sequence[Message], *, source: str = "", cursor: int = 0) -> None:
        for message in messages:
            self._last_id += 1
            self._waiting[self._last_id] = message
            self._put_ns[self._last_id] = self._now_ns()
        if source:
            self._cursors[source] = cursor
        self._drop()

    def cursor(self, source: str) -> int:
        return self._cursors.get(source, 0)

    def lend(self, most: int, *, newest: bool = False, most_bytes: int | None = None) -> list[Lent]:
        there = [number for number in self._waiting if number not in self._lent]
        ids: list[int] = []
        for number in (there[::-1] if newest else there)[:most]:
            size = sum(len(self._waiting[one].body) for one in (*ids, number))
            if ids and most_bytes is not None and size > most_bytes:
                break
            ids.append(number)
        self._lent.update(ids)
        return [Lent(number, self._waiting[number]) for number in sorted(ids)]

    def accept(self, lent: Sequence[Lent]) -> None:
        self._take(lent)

    def keep(self, lent: Sequence[Lent]) -> None:
        self._lent.difference_update(one.id for one in lent)

    def release(self) -> None:
        self._lent.clear()

    def reject(self, lent: Sequence[Lent]) -> None:
        self._rejected += self._take(lent)

    def tell_gap(self, told: Callable[[Gap], Message]) -> bool:
        gone, self._gaps = self._gaps, []
        if not gone:
            return False
        first, last = min(one.t_ns for one in gone), max(max(one.t_ns, one.until_ns) for one in gone)
        self._last_id += 1
        self._waiting[self._last_id] = told(Gap(first, last, len(gone), sum(one.points for one in gone)))
        self._put_ns[self._last_id] = self._now_ns()
        return True

    def books(self) -> Books:
        oldest_ns = min((self._put_ns[number] for number in self._waiting), default=None)
        size = sum(len(message.body) for message in self._waiting.values())
        return Books(len(self._waiting), size, self._dropped, self._rejected, oldest_ns)

    def close(self) -> None:
        """Nothing is kept."""

    def _take(self, lent: Sequence[Lent]) -> int:
        taken = [one.id for one in lent if self._waiting.pop(one.id, None) is not None]
        self._lent.difference_update(one.id for one in lent)
        return len(taken)

    def _drop(self) -> None:
        """The oldest beyond the caps."""
        oldest_ns = self._now_ns() - round(self._caps.age_s * 1e9)
        self._gone([number for number in self._waiting if self._put_ns[number] < oldest_ns])
        while self.books().waiting_bytes > self._caps.bytes:
            self._gone([next(iter(self._waiting))])

    def _gone(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._gaps.append(self._waiting.pop(number))
            self._lent.discard(number)
        self._dropped += len(numbers)
