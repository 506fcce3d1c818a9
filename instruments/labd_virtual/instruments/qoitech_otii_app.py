"""The Otii app's side of the wire: lines of JSON, and what it says to a request that it does not take.

otii_tcp_client 1.0.13: otii_connection.py for the messages, otii_exception.py for the errors and what each carries.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from labd_virtual.wire import Server

GREETING = {"otii_version": "3.5.5", "protocol_version": "0.1", "server": "otii-server"}
KINDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}


class Failure(Exception):
    """An error of the app: its code and its data."""

    def __init__(self, code: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.data = dict(data or {})


def line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\r\n"


def information(info: str, data: Mapping[str, Any]) -> bytes:
    return line({"type": "information", "info": info, "data": data})


def needed(data: Mapping[str, Any], key: str, *kinds: type) -> Any:
    """A key of a request's data. Raises Failure as the app does for a missing one and one of another type."""
    if key not in data:
        raise Failure("Missing key in request", {"key": key})
    found = data[key]
    if type(found) not in kinds and not (type(found) is int and float in kinds):
        expected = KINDS[kinds[0]]
        raise Failure("Invalid key type", {"key": key, "expected_type": expected, "received_type": KINDS[type(found)]})
    return found


def between(data: Mapping[str, Any], key: str, low: float, high: float) -> float:
    value = float(needed(data, key, float))
    if not low <= value <= high:
        raise Failure("Invalid key value", {"key": key, "value": value})
    return value


class AppServer(Server):
    """Greets, then answers each line. denies: ends every session with an error instead of the greeting."""

    denies = False
    device = ""

    @property
    def resource(self) -> str:
        return f"otii://127.0.0.1:{self.port}/{self.device}"

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._admitted() as session:
            if self.denies:
                await self._sent(writer, line({"type": "error", "errorcode": "Connection denied", "data": {}}))
                return
            await self._sent(writer, information("connected", GREETING))
            while data := await reader.readline():
                await self._carries.wait()
                if (reply := await self._executed(session, data.decode("utf-8", "replace"))) is not None:
                    await self._sent(writer, reply)
