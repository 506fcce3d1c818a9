"""The hub: everybody gets everything in order, but for what was too much for one that was slow."""

from __future__ import annotations

import asyncio

from labd.stream.hub import Hub

SOON_S = 10.0


async def test_every_watcher_gets_everything_in_order() -> None:
    hub: Hub[int] = Hub()
    with hub.subscribe("one", size=10) as one, hub.subscribe("other", size=10) as other:
        for item in range(5):
            hub.publish(item)
        assert [await anext(one) for _ in range(5)] == list(range(5))
        assert other.drained() == list(range(5))
        assert (one.lost, other.lost) == (0, 0)


async def test_a_slow_watcher_loses_only_its_own_oldest() -> None:
    hub: Hub[int] = Hub()
    with hub.subscribe("slow", size=3) as slow, hub.subscribe("fast", size=3) as fast:
        for item in range(10):
            hub.publish(item)
            assert await anext(fast) == item
        assert slow.lost == 7
        assert slow.drained() == [7, 8, 9]
        assert fast.lost == 0


async def test_a_watcher_waits_until_something_is_published() -> None:
    hub: Hub[str] = Hub()
    with hub.subscribe("one", size=1) as one:
        async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(anext(one))
            await asyncio.sleep(0)
            assert not waiting.done()
            hub.publish("at last")
        assert waiting.result() == "at last"


async def test_what_was_drained_does_not_come_again() -> None:
    hub: Hub[int] = Hub()
    with hub.subscribe("one", size=4) as one:
        hub.publish(1)
        assert one.drained() == [1]
        hub.publish(2)
        async with asyncio.timeout(SOON_S):
            assert await anext(one) == 2


def test_who_comes_late_or_has_left_gets_nothing() -> None:
    hub: Hub[int] = Hub()
    hub.publish(1)
    with hub.subscribe("one", size=4) as one:
        assert hub.watchers == 1
        assert one.drained() == []
    assert hub.watchers == 0
    hub.publish(2)
    assert one.drained() == []
