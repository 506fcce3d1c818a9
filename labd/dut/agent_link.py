"""The link to an agent on a Linux board: over TCP or a serial port, with both sides proving a shared key before anything runs."""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from labd.deadline import deadline
from labd.dut.carrier import Carrier
from labd.dut.connection import Connection
from labd.dut.dialect import Dialect
from labd.dut.errors import (
    CallableCrashed,
    CallableHung,
    DutRefused,
    HalfReply,
    ModelDropped,
    NoAgent,
    NoAnswer,
    NoMarker,
    PinsFailed,
    PortFailure,
    TakenOver,
    UnexpectedReply,
    WrongBaud,
    WrongKey,
)
from labd.dut.protocol import Reply, ReplyCollector, encode_command
from labd.dut.serial_link import SerialLink
from labd.errors import DutFailure, FileError

ANSWER_S = 90.0  # of a command that loads a model, for which the agent itself allows 60 s unless told
BAUD = 115200  # says nothing of a connection
HELLO_S = 3.0
HELLO_TRIES = 3
PROOF_S = 30.0  # an agent makes who had a wrong key wait for up to 16 s
AGAIN_S = 0.5  # between tries to reach an agent whose board boots
LEAST_KEY = 32
MEANING: tuple[tuple[str, type[DutRefused]], ...] = (
    ("Callable hung", CallableHung),
    ("Callable", CallableCrashed),
    ("Model dropped", ModelDropped),
    ("No marker", NoMarker),
    ("No pins", PinsFailed),
    ("Taken over", TakenOver),
)


def read_key(path: Path) -> bytes:
    """The shared key in a file. Raises FileError, which never shows any of it."""
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise FileError(str(path), "", f"others may read this key: chmod 600 {path}")
        key = path.read_bytes().strip()
    except OSError as error:
        raise FileError(str(path), "", f"the agent's key cannot be read: {error.strerror or error}") from error
    if len(key) < LEAST_KEY:
        raise FileError(str(path), "", f"a key has at least {LEAST_KEY} characters; python3 agent.py --key-file FILE --make-key makes one")
    return key


def proof(key: bytes, who: str, host_nonce: str, agent_nonce: str) -> str:
    """HMAC-SHA-256 [RFC 2104] over both nonces; `who` is host or agent, so that neither side's proof serves as the other's."""
    return hmac.new(key, f"labd agent 1 {who} {host_nonce} {agent_nonce}".encode(), "sha256").hexdigest()


class AgentLink(SerialLink):
    """A SerialLink to an agent. place: `HOST:PORT`, or with `baud` a serial port. patience_s: for an agent whose board boots."""

    def __init__(self, place: str, key: bytes, *, baud: int | None = None, patience_s: float = 0.0) -> None:
        super().__init__(place, baud=baud or BAUD)
        self._key = key
        self._serial = baud is not None
        self._patience_s = patience_s

    async def __aenter__(self) -> AgentLink:
        """Raises NoAgent, WrongKey, PortFailure, NoAnswer."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._patience_s
        while True:
            try:
                return await self._let_in()
            except (NoAgent, NoAnswer):
                if loop.time() >= end_s:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._serial and self._port is not None:  # a serial line does not tell that nobody is there any more
            with suppress(DutFailure):
                await self._ask("bye", HELLO_S)
        await super().__aexit__(kind, error, trace)

    async def _let_in(self) -> AgentLink:
        self._fault = None
        await super().__aenter__()
        try:
            async with self._turn:
                await self._prove(*await self._greet())
        except BaseException:
            await super().__aexit__(None, None, None)
            raise
        return self

    async def _greet(self) -> tuple[str, str]:
        """Both nonces."""
        reply = None
        for _ in range(HELLO_TRIES):  # on a serial line, half a command of somebody before may stand in front of the first
            await self._drain(self.dialect)
            nonce = secrets.token_hex(16)
            reply = await self._ask(f"hello {nonce}", HELLO_S)
            if reply is not None and (found := _word(reply, "challenge")):
                return nonce, found
        place = self.settings.port
        if reply is None:
            raise NoAnswer(f"no answer from an agent at {place}: is it an agent, is it started, and is nothing else at this port?")
        said = reply.error or ", ".join(reply.texts[:3]) or "nothing"
        raise UnexpectedReply(f"{place}: who answers is no agent, it says {said!r} to `hello`")

    async def _prove(self, host_nonce: str, agent_nonce: str) -> None:
        place = self.settings.port
        reply = await self._ask(f"proof {proof(self._key, 'host', host_nonce, agent_nonce)}", PROOF_S)
        if reply is None:
            raise NoAnswer(f"the agent at {place} did not answer a proof of the key within {PROOF_S:g} s")
        if reply.error is not None:
            raise WrongKey(f"the agent at {place} has another key than key_file: copy the key that it was started with")
        expected = proof(self._key, "agent", host_nonce, agent_nonce)
        if not hmac.compare_digest(expected.encode(), _word(reply, "welcome").encode()):
            raise WrongKey(f"who answers at {place} took the proof of a key that it does not know itself: that is not your agent")

    async def _ask(self, text: str, limit_s: float) -> Reply | None:
        """Before there is a session, which `command` would begin by asking for a name. None: no whole answer."""
        try:
            async with deadline(limit_s):
                await self._write(encode_command(text))
                return await self._collect(ReplyCollector(text), None)
        except TimeoutError:
            return None

    def _carrier(self) -> Carrier:
        if self._serial:
            return super()._carrier()
        host, _, port = self.settings.port.rpartition(":")
        return Connection(host.strip("[]"), int(port), on_data=self._heard, on_gone=self._gone)

    def _accepted(self, reply: Reply, until: str | None) -> Reply:
        try:
            return super()._accepted(reply, until)
        except DutRefused as error:
            kind = next((kind for start, kind in MEANING if error.reason.startswith(start)), None)
            if kind is None:
                raise
            raise kind(str(error), error.reason) from None

    async def _resync(self, timeout_s: float, whom: Dialect) -> Reply:
        try:
            return await super()._resync(timeout_s, whom)
        except (NoAnswer, HalfReply, WrongBaud) as error:
            raise self._silent("name") from error

    def _overdue(self, collector: ReplyCollector, timeout_s: float) -> DutFailure:
        return self._silent(collector.command)

    def _silent(self, command: str) -> NoAnswer:
        return NoAnswer(f"the agent at {self.settings.port} does not answer `{command}`: the board hangs, or its link is cut")

    def _gone(self, why: str) -> None:
        self._fault = PortFailure(
            f"the agent at {self.settings.port} is gone ({why}): it was ended, its board has lost its "
            "supply, or another client took it over"
        )
        self._news.set()


def _word(reply: Reply, name: str) -> str:
    """Of `m-NAME-[WORD]`; empty where there is none."""
    found = (re.fullmatch(rf"m-{name}-\[([0-9a-f]+)\]", text) for text in reply.texts)
    return next((match[1] for match in found if match), "")
