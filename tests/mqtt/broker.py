"""A real Mosquitto on a free port, which can be stopped and started again, and a client that collects what it hears."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import jsonschema
import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
SOON_S = 20.0
SCHEMA = Path(__file__).parents[2] / "docs/reference/mqtt.schema.json"

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


@dataclass(slots=True)
class Broker:
    """What it has acknowledged survives a stop. more: lines of its configuration."""

    folder: Path
    port: int
    more: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        assert MOSQUITTO is not None
        file = self.folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence true", f"persistence_location {self.folder}/"]
        lines += ["max_queued_messages 100000", "user root", *self.more]
        file.write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + SOON_S
        while time.monotonic() < end_s:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("mosquitto did not start")

    def reload(self) -> None:
        """It reads its files again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=SOON_S)
            self.process = None


def broker(folder: Path, *more: str) -> Broker:
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = Broker(folder, port, more)
    found.start()
    return found


def valid(what: str, body: object) -> None:
    """Raises ValidationError for a payload that is not as its definition in the published schema."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{what.replace('/', '~1')}", **schema}).validate(body)


@dataclass(slots=True)
class Heard:
    """Everything on the topics of one bench, in the order in which it came."""

    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, topic: str, body: dict[str, Any]) -> None:
        """What was published is as docs/reference/mqtt.schema.json says."""
        self.messages.append((topic, body))
        valid(topic.split("/", 2)[-1], body)

    def on(self, topic: str) -> list[dict[str, Any]]:
        return [body for name, body in self.messages if name.endswith(f"/{topic}")]

    async def until_seen(self, seen: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON_S):
            while not seen():
                self.changed.clear()
                await self.changed.wait()

    async def until(self, topic: str, count: int) -> list[dict[str, Any]]:
        await self.until_seen(lambda: len(self.on(topic)) >= count)
        return self.on(topic)


@asynccontextmanager
async def listening(port: int, topics: str = "labd/#") -> AsyncIterator[tuple[Heard, aiomqtt.Client]]:
    heard = Heard()
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(topics, qos=1)

        async def collect() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                heard.add(str(message.topic), json.loads(message.payload))
                heard.changed.set()

        task = asyncio.create_task(collect())
        try:
            yield heard, client
        finally:
            task.cancel()
            (failure,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(failure, asyncio.CancelledError), failure
