"""From the outbox to the broker, in order: what it takes is accepted, what it never will is rejected, all else waits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from labd.mqtt.connection import PAYLOAD_FORMAT_INVALID, TOO_LARGE, TOPIC_NAME_INVALID, UNSPECIFIED, Connection, Cut, Refused
from labd.outbox.contract import Lent, Outbox
from labd.outbox.session import OutboxSession
from labd.patience import Patience

BATCH = 100
NEVER = frozenset({TOO_LARGE, TOPIC_NAME_INVALID, PAYLOAD_FORMAT_INVALID})
IMPLEMENTATION_SPECIFIC = 0x83
VAGUE = frozenset({UNSPECIFIED, IMPLEMENTATION_SPECIFIC})  # refusals that may be meant for the message, or for everybody
# Disconnects that say that the broker goes, is busy or wants somebody else: no message's fault.
ITS_OWN = frozenset({0x87, 0x88, 0x89, 0x8B, 0x8D, 0x8E, 0x96, 0x97, 0x98, 0x9C, 0x9D, 0x9F, 0xA0})
STRIKES = 3

log = logging.getLogger(__name__)


class Delivery:
    """`some` sends. A message during which the broker cuts the connection three times in a row is rejected, as it would never pass."""

    def __init__(self, outbox: OutboxSession, patience: Patience) -> None:
        self._outbox = outbox
        self._patience = patience
        self._lender: Outbox | None = None
        self._sent: list[Lent] = []
        self._hopeless: list[Lent] = []
        self._struck = 0  # id of the message
        self._strikes = 0

    @property
    def suspects(self) -> bool:
        """The next message may be why the connection was cut: send it on one that stands, so that it is not blamed for a broker's fall."""
        return self._strikes > 0

    async def some(self, connection: Connection) -> bool:
        """One batch; False when there is none. Raises StoreError, and as `Connection.deliver`: what was not sent waits again."""
        await self._settle()  # what a delivery that was cancelled has left
        self._lender, lent = await self._outbox.do(lambda outbox: (outbox, outbox.lend(BATCH)))
        try:
            for one in lent:
                await self._one(connection, one)
        finally:
            await self._settle()
        return bool(lent)

    async def _one(self, connection: Connection, one: Lent) -> None:
        try:
            await connection.deliver(one.message.address, one.message.body)
        except (Refused, Cut) as error:
            if not self._is_hopeless(one, error):
                raise
            log.error("mqtt: %s: message %d is given up, %d bytes: %s", one.message.address, one.id, len(one.message.body), error)
            self._hopeless.append(one)
            if isinstance(error, Cut):
                raise
        else:
            self._sent.append(one)
            self._strikes = 0
            self._patience.restored()

    async def _settle(self) -> None:
        """May be done twice: what has gone from an outbox is in no other batch."""
        await self._outbox.change(partial(_settle, self._lender, tuple(self._sent), tuple(self._hopeless)))
        self._sent.clear()
        self._hopeless.clear()

    def _is_hopeless(self, one: Lent, error: Refused | Cut) -> bool:
        if isinstance(error, Refused) and error.code in NEVER:
            return True
        if (isinstance(error, Refused) and error.code not in VAGUE) or (isinstance(error, Cut) and error.code in ITS_OWN):
            return False
        self._strikes = self._strikes + 1 if one.id == self._struck else 1
        self._struck = one.id
        if self._strikes < STRIKES:
            return False
        self._strikes = 0
        return True


def _settle(lender: Outbox | None, sent: Sequence[Lent], hopeless: Sequence[Lent], outbox: Outbox) -> None:
    """Nothing where the outbox was begun anew meanwhile: the same ids are other messages there."""
    if outbox is lender:
        outbox.accept(sent)
        outbox.reject(hopeless)
        outbox.release()
