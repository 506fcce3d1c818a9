"""What runs is ended by whoever asks for it, and by nobody else in silence."""

from __future__ import annotations

import asyncio

import pytest

from labd.daemon.stopping import stoppable
from labd.errors import Interrupted, LabdError


async def for_ever(left: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        left.set()


async def test_asked_to_stop_it_waits_for_the_way_out_and_says_why() -> None:
    stop, left = asyncio.Event(), asyncio.Event()
    stop.set()
    with pytest.raises(Interrupted, match=r"^lunch; outputs are off"):
        await stoppable(for_ever(left), stop, why=lambda: "lunch")


async def test_a_cancellation_that_nobody_asked_for_is_no_interruption() -> None:
    async def leaking() -> None:
        raise asyncio.CancelledError

    with pytest.raises(LabdError, match="nobody asked") as failure:
        await stoppable(leaking(), asyncio.Event())
    assert not isinstance(failure.value, Interrupted)
