"""The vendor's publish/subscribe interface of a Joulescope that another process holds, over TCP: how a virtual one is reached.

A message in either direction is the length of a header (4 bytes, big-endian), the header (JSON) and as many bytes as its `size` says.
Requests are `{"id", "do", "args"}`, answers `{"id", "found"}` or `{"id", "error", "text"}`, where error is the name of the exception that
the vendor's package raises. What is published is `{"topic", "value", "dtype"}` with the samples behind it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from labd_instruments.errors import NotConnectedError

ERRORS: dict[str, type[Exception]] = {"TimeoutError": TimeoutError, "RuntimeError": RuntimeError, "ValueError": ValueError}
LENGTH = struct.Struct(">I")
MARGIN_S = 1.0  # beyond the device's own time-out, which the other side keeps
Received = Callable[[str, Any], None]


def open_remote(host: str, port: int, timeout_s: float) -> RemoteLibrary:
    """Connect. Raises NotConnectedError."""
    try:
        link = socket.create_connection((host, port), timeout_s)
    except OSError as error:
        raise NotConnectedError(f"no Joulescope is served at {host}:{port}: {error}") from error
    link.settimeout(None)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return RemoteLibrary(link, timeout_s)


class RemoteLibrary:
    """As `pyjoulescope_driver.Driver`, as far as a driver uses it. Subscribers are called from the thread that reads.

    Every method raises what the vendor's does, and OSError where the other process has gone.
    """

    def __init__(self, link: socket.socket, timeout_s: float) -> None:
        self._socket = link
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()  # one request at a time: no longer than one
        self._subscribers: dict[str, list[Received]] = defaultdict(list)
        self._reader = threading.Thread(target=self._read, name="joulescope", daemon=True)
        self._reader.start()

    def device_paths(self, timeout: float | None = None) -> list[str]:
        return list(self._ask("device_paths", timeout=timeout))

    def open(self, device_prefix: str, mode: str | None = None, timeout: float | None = None) -> None:
        self._ask("open", device_prefix, mode, timeout=timeout)

    def close(self, device_prefix: str, timeout: float | None = None) -> None:
        self._ask("close", device_prefix, timeout=timeout)

    def publish(self, topic: str, value: Any, timeout: float | None = None) -> None:
        self._ask("publish", topic, value, timeout=timeout)

    def query(self, topic: str, timeout: float | None = None) -> Any:
        return self._ask("query", topic, timeout=timeout)

    def subscribe(self, topic: str, flags: str, fn: Received, timeout: float | None = None) -> None:
        self._subscribers[topic].append(fn)
        self._ask("subscribe", topic, flags, timeout=timeout)

    def unsubscribe(self, topic: str, fn: Received, timeout: float | None = None) -> None:
        self._subscribers[topic].remove(fn)
        self._ask("unsubscribe", topic, timeout=timeout)

    def finalize(self, timeout: float | None = None) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(timeout)
        self._socket.close()

    def _ask(self, what: str, *args: Any, timeout: float | None = None) -> Any:
        number = next(self._numbers)
        header = json.dumps({"id": number, "do": what, "args": args}).encode()
        self._socket.sendall(LENGTH.pack(len(header)) + header)
        wait_s = (self._timeout_s if timeout is None else timeout) + MARGIN_S
        while True:
            try:
                answer = self._answers.get(timeout=wait_s)
            except queue.Empty:
                raise TimeoutError(f"jsdrv_{what} timed out") from None
            if answer is None:
                self._answers.put(None)  # for whoever asks next
                raise ConnectionError("the process that holds the Joulescope has ended the connection")
            if answer["id"] != number:
                continue  # to a request that was given up
            if "error" in answer:
                raise ERRORS.get(answer["error"], RuntimeError)(answer["text"])
            return answer.get("found")

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("rb") as stream:
            while len(length := stream.read(LENGTH.size)) == LENGTH.size:
                header = json.loads(stream.read(LENGTH.unpack(length)[0]))
                if "id" in header:
                    self._answers.put(header)
                else:
                    self._publish(header, stream.read(header["size"]))
        self._answers.put(None)

    def _publish(self, header: dict[str, Any], data: bytes) -> None:
        value = header["value"]
        if header["dtype"]:
            value["data"] = np.frombuffer(data, header["dtype"])
        for topic, subscribers in list(self._subscribers.items()):
            if header["topic"] == topic or header["topic"].startswith(f"{topic}/"):
                for fn in list(subscribers):
                    fn(header["topic"], value)
