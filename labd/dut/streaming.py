"""The streaming-wakeword firmware at work: start and stop listening, what it detected, features and activations it computed.

Source: the streaming reference of mlcommons/tiny.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from labd.dut.errors import UnexpectedReply
from labd.dut.protocol import Reply
from labd.dut.replies import NUMBER, find
from labd.dut.serial_link import SerialLink

ANSWER_S = 5.0
FRAME_S = 0.032  # stride of the reference: the processing pin is high while one frame is computed
HEAD = "target activations:"


@dataclass(frozen=True, slots=True)
class Features:
    """What one `extract_uart_stream` gave: rows as printed, one a frame."""

    features: tuple[tuple[float, ...], ...]
    activations: tuple[tuple[float, ...], ...]


@dataclass(slots=True)
class Heard:
    """activations: of the target word, one a frame, known after the `async with`."""

    activations: tuple[float, ...] = ()


class Streaming:
    """Operations of the streaming dialect over a link that speaks it. Raises DutFailure."""

    def __init__(self, link: SerialLink, *, answer_s: float = ANSWER_S) -> None:
        self._link = link
        self._answer_s = answer_s

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Heard]:
        """From `start`, with its pulse on the timestamp pin, to `stop`, with another. Stopped on every way out."""
        heard = Heard()
        await self._ask("start")
        try:
            yield heard
        finally:
            reply = await self._ask("stop")
        heard.activations = parse_activations(reply)

    async def extract(self, *, timeout_s: float = 30.0) -> Features:
        """Features and activations of what comes in, as the DUT prints them."""
        reply = await self._link.command("extract_uart_stream", timeout_s=timeout_s)
        return Features(_rows(reply, "features"), _rows(reply, "activations"))

    async def _ask(self, text: str) -> Reply:
        return await self._link.command(text, timeout_s=self._answer_s)


def parse_activations(reply: Reply) -> tuple[float, ...]:
    """The array behind `target activations:`, on that line and the lines after it."""
    at = next((k for k, text in enumerate(reply.texts) if text.startswith(HEAD)), None)
    if at is None:
        raise UnexpectedReply(
            f"`{reply.command}` answers {HEAD} and an array, this DUT said {', '.join(map(repr, reply.texts[:4])) or 'nothing'}"
        )
    body = " ".join([reply.texts[at].removeprefix(HEAD), *reply.texts[at + 1 :]])
    return numbers(body, reply)


def numbers(body: str, reply: Reply) -> tuple[float, ...]:
    """Numbers between brackets, commas and spaces. Raises UnexpectedReply for anything else among them."""
    words = re.sub(r"[\[\](){},;]", " ", body).split()
    wrong = next((word for word in words if not re.fullmatch(NUMBER, word)), None)
    if wrong is not None:
        raise UnexpectedReply(f"`{reply.command}`: not a number: {wrong!r}")
    return tuple(float(word) for word in words)


def _rows(reply: Reply, name: str) -> tuple[tuple[float, ...], ...]:
    rows = [numbers(found[1], reply) for text in reply.texts if (found := re.fullmatch(rf"m-{name}-\[(.*)\]", text))]
    if not rows:
        find(reply, rf"m-{name}-\[(.*)\]", f"m-{name}-[..]")
    return tuple(rows)
