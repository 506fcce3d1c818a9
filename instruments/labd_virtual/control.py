"""The control channel: JSON lines over loopback TCP, with which labd lets board time pass and tests look behind the scenes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from labd_virtual.bench import VirtualBench
from labd_virtual.spec import SpecError

Answer = dict[str, Any]
_LINE_LIMIT = 1 << 16
_HOST = "host"


class ControlError(Exception):
    """A request that cannot be served; the text is the answer."""


class Control:
    """Serves `now`, `behind`, `sleep`, `freeze`, `thaw`, `quit`, and with `open_truth` also truth, redraw, hang, network, board, output,
    set.

    `freeze` stops stepped time for a host that thinks: it passes only while a `sleep`, or an instrument with work under way,
    awaits an instant, and stops again there.
    """

    def __init__(self, bench: VirtualBench, *, open_truth: bool, quit_event: asyncio.Event) -> None:
        self._bench = bench
        self._quit = quit_event
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: dict[str, Callable[[Answer], Awaitable[Answer]]] = {"now": self._now, "quit": self._end}
        self._open |= {"behind": self._behind, "sleep": self._sleep, "freeze": self._freeze, "thaw": self._thaw}
        self._closed: dict[str, Callable[[Answer], Answer]] = {
            "truth": self._truth,
            "redraw": self._redraw,
            "hang": self._hang,
            "network": self._network,
            "board": lambda _request: bench.board.look(),
            "output": self._output,
            "set": self._set,
        }
        self._open_truth = open_truth

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client came. The task is ours to cancel: one that the server makes complains when cancelled."""
        task = asyncio.create_task(self._serve(reader, writer), name="control client")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request at a time."""
        try:
            while line := await reader.readline():
                self._bench.clock.touch()
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the client went away, or sent a line beyond the limit
        finally:
            writer.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
            op = request["op"]
            return {"ok": True, **await self._served(op, request)}
        except (ControlError, SpecError) as error:
            return {"ok": False, "error": str(error)}
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            return {"ok": False, "error": f"bad request: {error!r}"}

    async def _served(self, op: str, request: Answer) -> Answer:
        if op in self._open:
            return await self._open[op](request)
        if op not in self._closed:
            raise ControlError(f"no such request: {op!r}")
        if not self._open_truth:
            raise ControlError(f"{op}: this bench was started without --truth")
        return self._closed[op](request)

    async def _now(self, _request: Answer) -> Answer:
        return {"t_ns": self._bench.clock.now_ns()}

    async def _behind(self, _request: Answer) -> Answer:
        behind = self._bench.clock.behind()
        return {"worst_ns": behind.worst_ns, "late": behind.late}

    async def _sleep(self, request: Answer) -> Answer:
        clock = self._bench.clock
        await clock.sleep_until(clock.now_ns() + max(0, int(request["ns"])))
        return {"t_ns": clock.now_ns()}

    async def _freeze(self, _request: Answer) -> Answer:
        self._bench.clock.freeze(_HOST, unless_awaited=True)
        return {"t_ns": self._bench.clock.now_ns()}

    async def _thaw(self, _request: Answer) -> Answer:
        self._bench.clock.thaw(_HOST)
        return {}

    async def _end(self, _request: Answer) -> Answer:
        self._quit.set()
        return {}

    def _truth(self, request: Answer) -> Answer:
        record = self._bench.board.truth.mark(str(request.get("label", "")))
        self._bench.flush_truth()
        return {"t_ns": record["t_ns"]}

    def _redraw(self, request: Answer) -> Answer:
        self._bench.redraw(int(request["seed"]))
        return {}

    def _hang(self, request: Answer) -> Answer:
        self._persona(request).hang(bool(request["on"]))
        return {}

    def _network(self, request: Answer) -> Answer:
        self._persona(request).cut(bool(request["cut"]))
        return {}

    def _output(self, request: Answer) -> Answer:
        return {"on": self._persona(request).output_on()}

    def _set(self, request: Answer) -> Answer:
        self._bench.board.configure(str(request["key"]), request["value"])
        return {}

    def _persona(self, request: Answer) -> Any:
        name = request["instrument"]
        if name not in self._bench.personas:
            raise ControlError(f"no instrument {name!r} on this bench ({', '.join(self._bench.personas) or 'none'})")
        return self._bench.personas[name]


@asynccontextmanager
async def serve_control(bench: VirtualBench, *, open_truth: bool, quit_event: asyncio.Event) -> AsyncIterator[tuple[str, int]]:
    """The channel's address while it is open."""
    control = Control(bench, open_truth=open_truth, quit_event=quit_event)
    server = await asyncio.start_server(control.connected, "127.0.0.1", 0, limit=_LINE_LIMIT)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield host, port
    finally:
        server.close()
        await control.close()
        await server.wait_closed()
