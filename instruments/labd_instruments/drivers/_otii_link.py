"""A session with the Otii app: one JSON object a line over TCP, each request with a number that its response repeats.

otii_tcp_client 1.0.13, otii_connection.py: `{"type": "request", "cmd": ..., "data": {...}, "trans_id": "7"}` and CR LF; what comes back is
of type response, error, information or progress. The vendor's client takes a message of type information for the response; here
those that are no response are passed over, and a response to another request is an error.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from labd_instruments.errors import LinkTimeoutError, NotConnectedError, OutOfRangeError, RefusedError, ReplyError, SentinelError

PORT = 1905  # otii_client.py, DEFAULT_PORT
LONGEST_LINE = 1 << 26
Data = Mapping[str, Any]


def address(resource: str) -> tuple[str, int, str]:
    """Host, port and device of `otii://HOST:PORT/DEVICE`; the port may be left out. Raises OutOfRangeError."""
    match = re.fullmatch(r"otii://([^/:\s]+)(?::(\d{1,5}))?/(.+)", resource)
    if match is None:
        raise OutOfRangeError(f"{resource} names no Otii, right would be otii://localhost:{PORT}/DEVICE (its name or its device id)")
    return match[1], int(match[2] or PORT), match[3]


def open_otii(resource: str, timeout_s: float = 2.0) -> OtiiLink:
    """Connect, and take the app's greeting. Raises NotConnectedError, LinkTimeoutError, ReplyError."""
    host, port, _ = address(resource)
    try:
        link = OtiiLink(socket.create_connection((host, port), timeout_s), resource, timeout_s)
    except OSError as error:
        raise NotConnectedError(f"{resource}: the Otii app does not take a connection at {host}:{port}: {error}") from error
    try:
        link.greeted()
    except BaseException:
        link.close()
        raise
    return link


class OtiiLink:
    """One session, used from one thread. Every method raises NotConnectedError when the app has gone."""

    def __init__(self, link: socket.socket, resource: str, timeout_s: float) -> None:
        self.resource = resource
        self.timeout_s = timeout_s
        self._socket = link
        self._pending = bytearray()
        self._numbers = itertools.count(1)
        self._given_up: set[str] = set()
        self.version = ""

    def greeted(self) -> None:
        """`information: connected`, or `error: Connection denied`. Raises NotConnectedError, ReplyError."""
        message = self._message(time.monotonic() + self.timeout_s)
        if message.get("type") == "error":
            raise NotConnectedError(f"{self.resource}: the Otii app says {message.get('errorcode')!r}")
        if message.get("type") != "information" or message.get("info") != "connected":
            raise ReplyError(f"{self.resource}: it greets with {str(message)[:60]}, which is not what an Otii app says")
        self.version = str(dict(message.get("data") or {}).get("otii_version", "?"))

    def ask(self, command: str, data: Data | None = None, *, timeout_s: float | None = None) -> Data:
        """The data of a response. Raises RefusedError with the app's error code, NotConnectedError for a device that has gone,
        LinkTimeoutError, ReplyError."""
        number = str(next(self._numbers))
        request = {"type": "request", "cmd": command, "trans_id": number, **({} if data is None else {"data": dict(data)})}
        end_s = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        with self._named(command):
            self._socket.settimeout(self.timeout_s)
            self._socket.sendall(json.dumps(request).encode() + b"\r\n")
        try:
            message = self._response(number, end_s)
        except LinkTimeoutError:
            self._given_up.add(number)
            raise LinkTimeoutError(f"{self.resource}: no response to {command}") from None
        if message["type"] == "error":
            self._refused(command, message)
        found = message.get("data", {})
        if not isinstance(found, dict) or message.get("cmd", command) != command:
            raise ReplyError(f"{self.resource}: the response to {command} is {str(message)[:80]}")
        return found

    def value(self, command: str, data: Data, key: str = "value") -> Any:
        """One value of a response. Raises as `ask`, ReplyError where there is none."""
        found = self.ask(command, data)
        if key not in found:
            raise ReplyError(f"{self.resource}: the response to {command} has no {key!r}: {str(found)[:80]}")
        return found[key]

    def number(self, command: str, data: Data, key: str = "value") -> float:
        """Raises as `value`, ReplyError for what is no number, SentinelError for one that is not finite."""
        return as_number(f"{self.resource}: {key} of {command}", self.value(command, data, key))

    def state(self, command: str, data: Data, key: str = "value") -> bool:
        """Raises as `value`, ReplyError for what is neither true nor false."""
        found = self.value(command, data, key)
        if not isinstance(found, bool):
            raise ReplyError(f"{self.resource}: {key} of {command} is {found!r}, right would be true or false")
        return found

    def close(self) -> None:
        self._socket.close()

    def _response(self, number: str, end_s: float) -> dict[str, Any]:
        while True:
            message = self._message(end_s)
            if message.get("type") in ("information", "progress"):
                continue
            answered = message.get("trans_id")
            if answered == number and message.get("type") in ("response", "error"):
                return message
            if answered not in self._given_up:
                raise ReplyError(f"{self.resource}: request {number} is answered by {str(message)[:80]}, which answers another one")
            self._given_up.discard(str(answered))

    def _message(self, end_s: float) -> dict[str, Any]:
        line = self._line(end_s)
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ReplyError(f"{self.resource}: a line of {len(line)} bytes is no JSON ({error}): {line[:40]!r}") from error
        if not isinstance(found, dict):
            raise ReplyError(f"{self.resource}: the line {line[:40]!r} is no message")
        return found

    def _line(self, end_s: float) -> bytes:
        searched = 0
        while (end := self._pending.find(b"\r\n", max(0, searched - 1))) < 0:
            searched = len(self._pending)
            if searched > LONGEST_LINE:
                raise ReplyError(f"{self.resource}: a line has no end within {LONGEST_LINE} bytes")
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise LinkTimeoutError(f"{self.resource}: it did not answer within the deadline")
            with self._named("reading"):
                self._socket.settimeout(left_s)
                data = self._socket.recv(1 << 17)
            if not data:
                raise NotConnectedError(f"{self.resource}: the Otii app has closed the connection")
            self._pending += data
        line = bytes(self._pending[:end])
        del self._pending[: end + 2]
        return line

    def _refused(self, command: str, message: Data) -> NoReturn:
        code = str(message.get("errorcode", "an error without a code"))
        text = f"{self.resource}: {command}: {code}, {json.dumps(message.get('data', {}))[:120]}"
        if code == "Device not connected":
            raise NotConnectedError(text)
        raise RefusedError(text, ((0, code),))

    @contextlib.contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise LinkTimeoutError(f"{self.resource}: {doing} did not end within the deadline") from error
        except OSError as error:
            raise NotConnectedError(f"{self.resource}: {doing} failed: {error}") from error


def as_number(what: str, found: object) -> float:
    """Raises ReplyError for what is no number, SentinelError for one that is not finite."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ReplyError(f"{what} is {found!r}, which is no number")
    if not math.isfinite(found):
        raise SentinelError(f"{what} is {found}")
    return float(found)
