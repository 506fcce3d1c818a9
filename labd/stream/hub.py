"""Fan-out to watchers: each has a bounded queue of its own; a slow one loses its own oldest items, counted, and delays nobody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Subscription(Generic[T]):
    """Async iterator over what was published since `subscribe`. lost: items dropped because this watcher was slow."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.lost = 0
        # size: as given; policy: newest wins, the oldest is dropped; counter: lost
        self._items: deque[T] = deque(maxlen=size)
        self._filled = asyncio.Event()

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        return self._items.popleft()

    def drained(self) -> list[T]:
        """Everything that waits, without waiting."""
        items = list(self._items)
        self._items.clear()
        return items

    def put(self, item: T) -> None:
        if len(self._items) == self._items.maxlen:
            self.lost += 1
        self._items.append(item)
        self._filled.set()


class Hub(Generic[T]):
    """Used from the event loop's thread. Publishing never waits."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription[T]] = []

    @property
    def watchers(self) -> int:
        return len(self._subscriptions)

    def publish(self, item: T) -> None:
        for subscription in self._subscriptions:
            subscription.put(item)

    @contextmanager
    def subscribe(self, name: str, *, size: int) -> Iterator[Subscription[T]]:
        subscription: Subscription[T] = Subscription(name, size)
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
