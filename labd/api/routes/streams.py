"""WebSockets: live samples as binary frames, news as JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from labd.api.gate import REFUSED, subprotocol_of
from labd.api.routes.asked import Given
from labd.deadline import deadline

router = APIRouter(tags=["live"])

NEWS_WAITING = 1000
SEND_S = 10.0  # a client that takes nothing for this long is gone
TOO_SLOW = 4408


@router.websocket("/live")
async def live(socket: WebSocket, given: Given) -> None:
    """Frames of docs/reference/live-frames.md; what a slow client misses is counted in the next one."""
    await socket.accept(subprotocol_of(socket.scope["subprotocols"]))
    async with given.live.viewer() as frames:

        async def forward() -> None:
            async for frame in frames:
                await _sent(socket, socket.send_bytes(frame))

        await _until_gone(socket, forward)


@router.websocket("/news")
async def news(socket: WebSocket, given: Given) -> None:
    """First the status as it is, then every piece of news; a slow client loses the oldest, counted in `lost`."""
    await socket.accept(subprotocol_of(socket.scope["subprotocols"]))
    with given.news.subscribe("web socket", size=NEWS_WAITING) as subscription:

        async def forward() -> None:
            status = await given.bench.status()
            await _sent(socket, socket.send_json({"t_ns": time.time_ns(), "kind": "status", "data": dataclasses.asdict(status)}))
            async for item in subscription:
                await _sent(socket, socket.send_json({**dataclasses.asdict(item), "lost": subscription.lost}))

        await _until_gone(socket, forward)


async def _sent(socket: WebSocket, sending: Awaitable[None]) -> None:
    """Raises WebSocketDisconnect for a client that does not read."""
    try:
        async with deadline(SEND_S):
            await sending
    except TimeoutError:
        raise WebSocketDisconnect(TOO_SLOW, "the client does not read") from None


async def _until_gone(socket: WebSocket, forward: Callable[[], Awaitable[None]]) -> None:
    """Forward until the client leaves, or its token is taken back; what it sends means nothing."""

    async def listen() -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))

    taken_back = asyncio.ensure_future(socket.scope["labd.taken_back"]())
    tasks = [asyncio.ensure_future(forward()), asyncio.ensure_future(listen()), taken_back]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | RuntimeError):
            raise result
    if not taken_back.cancelled() and socket.client_state is WebSocketState.CONNECTED:
        await socket.close(REFUSED, "the token was taken back")
