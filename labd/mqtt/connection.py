"""A connection to the broker that knows what the broker made of each message; aiomqtt drops the reason that a PUBACK carries.

Numbers of sections are those of MQTT 5.0 (OASIS, 7 March 2019).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt
from aiomqtt import MqttCodeError, MqttError
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from labd.config.secret import authority, secret
from labd.errors import LabdError
from labd.mqtt.section import MqttSection

UNSPECIFIED, NOT_AUTHORIZED, TOPIC_NAME_INVALID, TOO_LARGE, PAYLOAD_FORMAT_INVALID = 0x80, 0x87, 0x90, 0x95, 0x99  # section 2.4
ANSWER_S = 10.0
LARGEST_TAKEN = 2 << 20  # bytes of a packet that the broker may send here: a command is at most half of it


class Refused(LabdError):
    """The broker, in its own words, does not take a message or a subscription. code: its reason, section 2.4."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"the broker refuses: {text}")
        self.code = code


class Cut(MqttError):
    """The connection ended while a message was under way. code: what the broker said, UNSPECIFIED where it said nothing."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the connection ended while a message was under way (reason 0x{code:02x})")
        self.code = code


class Connection(aiomqtt.Client):
    """largest: bytes of a packet that the broker takes, None where it sets no limit."""

    def __init__(self, *given: Any, **options: Any) -> None:
        taken = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        taken.MaximumPacketSize = LARGEST_TAKEN
        super().__init__(*given, protocol=aiomqtt.ProtocolVersion.V5, properties=taken, timeout=ANSWER_S, **options)
        self.largest: int | None = None
        self._answers: dict[int, asyncio.Future[ReasonCode]] = {}

    async def __aenter__(self) -> Self:
        try:
            with _cancellation_heeded():
                return await super().__aenter__()
        except asyncio.CancelledError:
            if self._connected.done():
                await self.__aexit__(None, None, None)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with _cancellation_heeded():
            await super().__aexit__(kind, error, trace)

    def tell(self, topic: str, body: bytes) -> None:
        """QoS 0: whoever listens just now hears it, unless it is lost on the way."""
        self._client.publish(topic, body, 0)

    async def deliver(self, topic: str, body: bytes, *, retain: bool = False, properties: Properties | None = None) -> None:
        """QoS 1, until the broker has it. Raises Refused; Cut; MqttError where no answer comes; ValueError for what is no topic."""
        size = packet_bytes(topic, body, properties)
        if self.largest is not None and size > self.largest:
            raise Refused(TOO_LARGE, f"a message of {size} bytes, it takes at most {self.largest}")
        sent = self._client.publish(topic, body, 1, retain, properties)
        if sent.rc != MQTT_ERR_SUCCESS:
            gone = self._disconnected.exception() if self._disconnected.done() else None
            raise MqttCodeError(sent.rc, "a message cannot be sent") from gone
        answer = self._answers[sent.mid] = self._loop.create_future()
        try:
            await asyncio.wait((answer, self._disconnected), timeout=self.timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._answers[sent.mid]
        if answer.done():
            _check(answer.result())
        elif self._disconnected.done():
            raise Cut(_reason(self._disconnected.exception()))
        else:
            raise MqttError(f"the broker did not answer within {self.timeout:g} s")

    async def hear(self, topic: str, options: SubscribeOptions) -> None:
        """Subscribe. Raises Refused, MqttError."""
        with _cancellation_heeded():
            codes = await self.subscribe(topic, options=options)
        for code in codes:
            if isinstance(code, ReasonCode):
                _check(code)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None) -> None:
        self.largest = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)


def packet_bytes(topic: str, body: bytes, properties: Properties | None = None) -> int:
    """Size of the PUBLISH packet, QoS 1 (section 3.3): fixed header, topic, identifier, properties, payload."""
    more = 1 if properties is None else len(properties.pack())  # type: ignore[no-untyped-call]
    rest = 2 + len(topic.encode()) + 2 + more + len(body)
    length = next(n for n in range(1, 5) if rest < 128**n or n == 4)  # seven bits a byte, section 1.5.5
    return 1 + length + rest


@dataclass(frozen=True, slots=True)
class Credentials:
    """What files and the environment say. tls: None where the connection is not encrypted."""

    password: str | None
    tls: ssl.SSLContext | None


def credentials(section: MqttSection, folder: Path) -> Credentials:
    """folder: what paths of the section are relative to. Raises FileError."""
    ca = None if section.tls_ca is None else folder / section.tls_ca
    return Credentials(secret(section, "mqtt", "password", folder), authority(ca) if section.tls else None)


@contextmanager
def _cancellation_heeded() -> Iterator[None]:
    """aiomqtt waits with asyncio.wait_for, which before Python 3.12 swallows a cancellation that comes together with its result (cpython
    issue 86296): whoever stops the sink would wait for ever. Counted from here, for task groups leave the count raised (issue 102780)."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def _check(code: ReasonCode) -> None:
    if code.value >= 0x80:
        raise Refused(code.value, str(code))


def _reason(error: BaseException | None) -> int:
    """0x80 as well for an answer that paho cannot read, which it raises as whatever comes."""
    code = error.rc if isinstance(error, MqttCodeError) else None
    return code.value if isinstance(code, ReasonCode) else UNSPECIFIED
