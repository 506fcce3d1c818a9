"""The vendor's `pyjoulescope_driver.Driver` with one virtual Joulescope behind it, and what it takes to serve it over TCP.

Written from pyjoulescope_driver 2.2.12 (binding.pyx) and, for return codes, js110_usb.c and js220_usb.c: an unknown topic is UNAVAILABLE to
a JS110 and PARAMETER_INVALID below `h/` of a JS220; a value outside of the metadata is PARAMETER_INVALID; nobody answers for a device that
is not there. A publication is held by the package and answers its queries, whether the device took it, answered it or is there at all
(tried with 2.2.12). By no source: that a topic which a JS220's firmware does not have is UNAVAILABLE.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

from labd_virtual.instruments.jetperch_joulescope_topics import Meta
from labd_virtual.wire import Clients, Device, Server

CODES = {
    5: ("PARAMETER_INVALID", "The parameter value is invalid"),
    16: ("NOT_FOUND", "The requested resource was not found"),
    20: ("UNAVAILABLE", "The requested resource is currently unavailable."),
    21: ("IN_USE", "The requested resource is currently in use."),
    22: ("CLOSED", "The requested resource is currently closed."),
}
ERRORS = (TimeoutError, RuntimeError, ValueError, KeyError)
FLAGS = ("pub", "pub_retain", "metadata_rsp", "metadata_rsp_retain")
MODES = ("defaults", "restore", None)
LENGTH = struct.Struct(">I")
Received = Callable[[str, Any], None]


class Refused(Exception):
    """A return code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Behind(Protocol):
    """The device. metadata, values: by topic without its path. holder: the library that has it open."""

    path: str
    holder: object
    metadata: Mapping[str, Meta]
    values: dict[str, int]

    def present(self) -> bool: ...

    def answers(self) -> bool: ...

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def set(self, topic: str, value: int) -> None: ...


class JoulescopeLibrary:
    """One context of the package. What the device publishes goes to `published`."""

    def __init__(self, device: Behind) -> None:
        self._device = device
        self._held: dict[str, Any] = {}
        self._subscribers: list[tuple[str, str, Received]] = []

    def device_paths(self, timeout: float | None = None) -> list[str]:
        return [self._device.path] if self._device.present() else []

    def open(self, device_prefix: str, mode: str | None = None, timeout: float | None = None) -> None:
        if mode not in MODES:
            raise KeyError(mode)
        if device_prefix != self._device.path or not self._device.present() or not self._device.answers():
            raise TimeoutError(f"jsdrv_open timed out | {device_prefix}")
        if self._device.holder is not None:
            _failed("jsdrv_open", 21, device_prefix)
        self._device.holder = self
        self._device.opened()
        self._held |= {f"{self._device.path}/{name}": value for name, value in self._device.values.items()}

    def close(self, device_prefix: str, timeout: float | None = None) -> None:
        if device_prefix != self._device.path or not self._device.present():
            raise TimeoutError(f"jsdrv_close timed out | {device_prefix}")
        self._let_go()

    def publish(self, topic: str, value: Any, timeout: float | None = None) -> None:
        if not isinstance(value, str | int | float | bytes):
            raise ValueError(f"Unsupported value type: {type(value)}")  # noqa: TRY004 - as binding.pyx
        path, _, name = _parted(topic)
        if path != self._device.path or not self._device.present() or not self._device.answers():
            self._held[topic] = value
            if timeout != 0:
                raise TimeoutError(f"jsdrv_publish timed out | {topic}")
            return
        if self._device.holder is not self:
            _failed("jsdrv_publish", 22, topic)
        try:
            self._held[topic] = self._valid(name, value)
            self._device.set(name, self._held[topic])
        except Refused as refused:
            _failed("jsdrv_publish", refused.code, topic)

    def query(self, topic: str, timeout: float | None = None) -> Any:
        if topic not in self._held:
            _failed("jsdrv_query", 16, topic)
        return self._held[topic]

    def subscribe(self, topic: str, flags: str, fn: Received, timeout: float | None = None) -> None:
        if flags not in FLAGS:
            raise KeyError(flags)
        self._subscribers.append((topic, flags, fn))
        held: Mapping[str, Any] = {}
        if flags == "metadata_rsp_retain" and self._device.holder is self:
            held = {f"{self._device.path}/{name}$": told for name, told in self._device.metadata.items()}
        elif flags == "pub_retain":
            held = self._held
        for name, value in held.items():
            if _below(name, topic):
                fn(name, value)

    def unsubscribe(self, topic: str, fn: Received, timeout: float | None = None) -> None:
        found = [one for one in self._subscribers if (one[0], one[2]) == (topic, fn)]
        if not found:
            _failed("jsdrv_unsubscribe", 16, topic)
        self._subscribers = [one for one in self._subscribers if one not in found]

    def finalize(self, timeout: float | None = None) -> None:
        self._subscribers.clear()
        self._let_go()

    def published(self, name: str, value: Any) -> None:
        """By the device, to whoever subscribed."""
        topic = f"{self._device.path}/{name}"
        for wanted, flags, fn in list(self._subscribers):
            if flags.startswith("pub") and _below(topic, wanted):
                fn(topic, value)

    def _let_go(self) -> None:
        if self._device.holder is self:
            self._device.holder = None
            self._device.closed()

    def _valid(self, name: str, value: Any) -> int:
        """As pubsub.c holds a value against the metadata; an option may be given by its name. Raises Refused."""
        told = self._device.metadata.get(name)
        if told is None:
            raise Refused(5 if name.startswith("h/") and "/js220/" in self._device.path else 20)
        rows = told.get("options", [])
        named = [row[0] for row in rows if value in row[1:]]
        low, high = 0, 1 if told["dtype"] == "bool" else 1 << 32
        code = named[0] if named else value
        if not isinstance(code, int) or "ro" in told.get("flags", ()) or (rows and code not in [row[0] for row in rows]):
            raise Refused(5)
        if not low <= code <= high:
            raise Refused(5)
        return int(code)


def _parted(topic: str) -> tuple[str, str, str]:
    """`u/js220/1`, and the rest."""
    parts = topic.split("/", 3)
    return "/".join(parts[:3]), "/", parts[3] if len(parts) > 3 else ""


def _below(topic: str, wanted: str) -> bool:
    return topic == wanted or topic.startswith(f"{wanted}/")


def _failed(what: str, code: int, cause: str) -> NoReturn:
    name, text = CODES[code]
    raise RuntimeError(f"{what} failed {code} {name} | {text} | {cause}")


class LibraryServer(Server):
    """Each connection is a context of the package. Frames: a length of 4 bytes, a header in JSON, and as many bytes as its `size` says."""

    def __init__(self, device: Behind, *, clients: Clients, sessions: Callable[[int], None]) -> None:
        async def nothing(_message: str) -> bytes | None:
            return None

        super().__init__(Device(nothing, lambda: None, lambda: None, lambda: 0, lambda: None, sessions), clients=clients)
        self._behind = device
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def resource(self) -> str:
        return f"joulescope://127.0.0.1:{self.port}/{self._behind.path}"

    def unsent(self) -> int:
        """Bytes that wait for hosts that do not read."""
        return sum(writer.transport.get_write_buffer_size() for writer in self._writers)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._admitted() as session:
            library = JoulescopeLibrary(self._behind)
            forward = _forwarding(writer, lambda: session.answering.is_set() and self._carries.is_set())
            self._writers.add(writer)
            try:
                while True:
                    length = LENGTH.unpack(await self._exactly(reader, LENGTH.size))[0]
                    request = json.loads(await self._exactly(reader, length))
                    await session.answering.wait()
                    await self._sent(writer, _frame({"id": request["id"], **_answer(library, request, forward)}))
            finally:
                self._writers.discard(writer)
                library.finalize()


def _answer(library: JoulescopeLibrary, request: Mapping[str, Any], forward: Received) -> dict[str, Any]:
    more = [forward] if request["do"] in ("subscribe", "unsubscribe") else []
    try:
        return {"found": getattr(library, request["do"])(*request["args"], *more)}
    except ERRORS as error:
        return {"error": type(error).__name__, "text": str(error)}


def _forwarding(writer: asyncio.StreamWriter, carries: Callable[[], bool]) -> Received:
    """What a subscriber on the other side of the connection is told; nothing while it hangs."""

    def forward(topic: str, value: Any) -> None:
        if not carries():
            return
        data = b""
        header = {"topic": topic, "value": value, "dtype": ""}
        if isinstance(value, dict) and "data" in value:
            header = {"topic": topic, "value": {k: v for k, v in value.items() if k != "data"}, "dtype": value["data"].dtype.str}
            data = value["data"].tobytes()
        with contextlib.suppress(ConnectionError):
            writer.write(_frame(header | {"size": len(data)}) + data)

    return forward


def _frame(header: Mapping[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return LENGTH.pack(len(text)) + text
