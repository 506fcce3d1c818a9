"""Executes program messages against a command tree: chaining, path inheritance, common commands, the error queue and replies."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from labd_virtual.scpi_errors import ErrorQueue, ScpiError
from labd_virtual.scpi_message import Unit, parse_unit, split
from labd_virtual.scpi_params import Integer, bind
from labd_virtual.scpi_status import OPERATION_COMPLETE, RegisterGroup, StatusByte
from labd_virtual.scpi_tree import Call, Command, CommandTree, Reply

_BYTE = Integer(0, 255)


def _nothing() -> None:
    """Default hook."""


class Interpreter:
    """One instrument's command interface.

    A command error (-1xx) ends its message, since the parser has lost its place; after any other error the message goes on (IEEE 488.2
    6.1.6.1.1). Messages of one session run one after another; sessions do not wait for each other.

    instant: entered around every unit, so that all it does at once happens at one instant of board time, however busy the host is.
    before: called ahead of every unit (lets an instrument catch up with board time). annotate: text of an error as it goes into the
    queue. decorate: turns a reply into what is sent (Yokogawa's headers). finished: awaited by *OPC?, *WAI and *OPC: returns when no
    operation is pending. terminator: ends a response.
    """

    def __init__(self, identity: str, *, queue_capacity: int = 20) -> None:
        self.tree = CommandTree()
        self.errors = ErrorQueue(queue_capacity)
        self.operation = RegisterGroup()
        self.questionable = RegisterGroup()
        self.status = StatusByte(self.errors, self.operation, self.questionable)
        self.instant: Callable[[], AbstractContextManager[None]] = nullcontext
        self.before: Callable[[], None] = _nothing
        self.reset: Callable[[], None] = _nothing
        self.trigger: Callable[[], None] = _nothing
        self.annotate: Callable[[ScpiError], str] = lambda problem: problem.text
        self.decorate: Callable[[Command, str], str] = lambda _, text: text
        self.finished: Callable[[], Awaitable[None]] = _done
        self.terminator = b"\n"
        self._identity = identity
        self._declare_common()

    def watch(self, operation: Callable[[], int], questionable: Callable[[], int]) -> None:
        """Where the condition registers of STATus:OPERation and STATus:QUEStionable come from."""
        self.operation = RegisterGroup(operation)
        self.questionable = RegisterGroup(questionable)
        self.status.operation, self.status.questionable = self.operation, self.questionable

    def fail(self, problem: ScpiError) -> None:
        """Queue an error and set its standard event bit."""
        self.errors.push(problem.code, self.annotate(problem))
        self.status.note_error(problem.code)

    async def execute(self, message: str) -> bytes | None:
        """Run one message (latin-1 text, terminator optional); returns the response with its terminator, or None."""
        replies: list[bytes] = []
        path: tuple[str, ...] = ()
        try:
            for text in split(message.removesuffix("\n"), ";"):
                if not text.strip():
                    continue
                unit = parse_unit(text)
                nodes = unit.nodes if unit.rooted else path + unit.nodes
                if not unit.common:
                    path = nodes[:-1]
                self._check_indefinite(unit, replies)
                try:
                    reply = await self._run(unit, nodes)
                except ScpiError as problem:
                    if problem.is_command_error:
                        raise
                    self.fail(problem)
                    continue
                if reply is not None:
                    replies.append(reply)
        except ScpiError as problem:
            self.fail(problem)
        return b";".join(replies) + self.terminator if replies else None

    def _check_indefinite(self, unit: Unit, replies: Sequence[bytes]) -> None:
        if unit.query and replies and replies[-1].startswith(b"#0"):
            self.fail(ScpiError(-440))

    async def _run(self, unit: Unit, nodes: Sequence[str]) -> bytes | None:
        found = self.tree.find(nodes, query=unit.query)
        command = found.command
        with self.instant():
            self.before()
            outcome = command.action(Call(bind(command.parameters, unit.arguments), found.suffixes))
        reply: Reply = await outcome if inspect.isawaitable(outcome) else outcome
        if reply is None or isinstance(reply, bytes):
            return reply
        return self.decorate(command, reply).encode("latin-1")

    def _declare_common(self) -> None:
        tree, status = self.tree, self.status
        tree.query("*IDN", lambda _: self._identity, headerless=True)
        tree.add("*CLS", lambda _: status.clear())
        tree.add("*ESE", self._set_standard_enable, _BYTE)
        tree.query("*ESE", lambda _: str(status.standard_enable), headerless=True)
        tree.query("*ESR", lambda _: str(status.take_standard_event()), headerless=True)
        tree.add("*SRE", self._set_service_enable, _BYTE)
        tree.query("*SRE", lambda _: str(status.service_enable), headerless=True)
        tree.query("*STB", lambda _: str(status.value()), headerless=True)
        tree.query("*TST", lambda _: "0", headerless=True)
        tree.add("*RST", lambda _: self.reset())
        tree.add("*TRG", lambda _: self.trigger())
        tree.add("*OPC", self._operation_complete)
        tree.query("*OPC", self._wait_complete, headerless=True)
        tree.add("*WAI", self._wait)

    def _set_standard_enable(self, call: Call) -> None:
        self.status.standard_enable = call[0]

    def _set_service_enable(self, call: Call) -> None:
        self.status.service_enable = call[0] & ~64

    async def _operation_complete(self, _: Call) -> None:
        # A real one sets the bit later, without holding up the session; the bit is read by a later query in either case.
        await self.finished()
        self.status.standard_event |= OPERATION_COMPLETE

    async def _wait_complete(self, _: Call) -> str:
        await self.finished()
        return "1"

    async def _wait(self, _: Call) -> None:
        await self.finished()


async def _done() -> None:
    """Default hook: nothing is ever pending."""
