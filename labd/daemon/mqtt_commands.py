"""Commands that come over MQTT: submit and abort, with a token as over HTTP, answered where the sender asks for it."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiomqtt
from aiomqtt import MqttError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import ValidationError

from labd.api.models import AbortBody, JobBody, JobId
from labd.api.services import BenchOperations
from labd.api.tokens import Bearer, Scope, bearer_of
from labd.errors import LabdError
from labd.mqtt.connection import Connection
from labd.queue.scheduler import Scheduler

LARGEST = 1 << 20
LONGEST_TOPIC = 65_535  # bytes of a string, MQTT 5.0, section 1.5.4
REMEMBERED = 100
REMEMBERED_S = 600.0  # a sender that lost its connection sends again when it is back

log = logging.getLogger(__name__)

Answer = dict[str, Any]


class AbortCommand(AbortBody):
    """job: which; left out, the one that runs."""

    job: JobId | Literal[""] = ""


class Done:
    """What has been answered to commands that were done: QoS 1 may bring the same one twice."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        # size: 100 answers; policy: the oldest is forgotten; no counter: nobody misses one but who sends it again
        self._answers: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()

    def keep(self, command: bytes, answer: Answer) -> None:
        self._answers[command] = (self._now_s(), answer)
        while len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)

    def answer(self, command: bytes) -> Answer | None:
        done_s, answer = self._answers.get(command, (0.0, None))
        return answer if answer is not None and self._now_s() - done_s <= REMEMBERED_S else None


@dataclass(frozen=True, slots=True)
class MqttCommands:
    """Called with each message of a command topic; whatever it holds, it is answered where it can be and nothing is raised."""

    queue: Scheduler
    bench: BenchOperations
    tokens: Path | None
    done: Done = field(default_factory=Done)

    async def __call__(self, client: Connection, message: aiomqtt.Message) -> None:
        own, _, what = str(message.topic).rpartition("/command/")
        try:
            answer = await self._answer(what, message)
        except Exception as error:
            log.exception("mqtt commands: %s failed", what)
            answer = {"error": f"labd failed: {type(error).__name__}; its log says more"}
        log.info("mqtt command %s: %s", what, answer.get("error") or "done")
        topic = getattr(message.properties, "ResponseTopic", None)
        if topic is None:
            return
        if not _may_answer(topic, own):
            log.warning("mqtt commands: %r is no response topic, %s is not answered", topic[:80], what)
            return
        try:
            await client.deliver(topic, json.dumps(answer).encode(), properties=_correlated(message))
        except (LabdError, MqttError, ValueError) as error:
            log.warning("mqtt commands: the answer to %s does not reach %r: %s", what, topic[:80], error)

    async def _answer(self, what: str, message: aiomqtt.Message) -> Answer:
        if message.retain:
            return {"error": "a command must not be retained"}
        payload = message.payload if isinstance(message.payload, bytes) else b""
        try:
            said = json.loads(payload) if len(payload) <= LARGEST else None
        except (ValueError, RecursionError) as error:  # a ValueError: no JSON, no UTF-8, a number of thousands of digits
            return {"error": f"the command is wrong: {error}"}
        if not isinstance(said, dict):
            return {"error": f"a command is a JSON object of at most {LARGEST} bytes"}
        try:
            bearer = self._bearer(said.pop("token", None))
            if bearer is None or bearer.scope is not Scope.CONTROL:
                return {"error": "a command needs a token with scope control, as `token`"}
            return await self._once(what, said, bearer, _name(what, message, payload))
        except ValidationError as error:
            return {"error": f"the command is wrong: {error}"}
        except LabdError as error:
            return {"error": str(error)}

    async def _once(self, what: str, said: Mapping[str, Any], bearer: Bearer, name: bytes | None) -> Answer:
        answer = None if name is None else self.done.answer(name)
        if answer is None:
            answer = await self._did(what, said, bearer)
            if name is not None and "error" not in answer:
                self.done.keep(name, answer)
        return answer

    async def _did(self, what: str, said: Mapping[str, Any], bearer: Bearer) -> Answer:
        if what == "submit":
            body = JobBody.model_validate(said)
            found = await self.bench.plan_check(body.plan_text)
            job = await self.queue.submit(body.new_job(name=found.name, who=bearer.name, estimate_s=found.estimate_s))
            return {"job": job.id, "state": job.state}
        if what == "abort":
            command = AbortCommand.model_validate(said)
            running = command.job or (await self.queue.status()).job
            if not running:
                return {"error": "no job runs"}
            job = await self.queue.abort(running, f"{command.why} ({bearer.name})")
            return {"job": job.id, "state": job.state}
        return {"error": f"there is no command {what[:80]!r}; there are submit and abort"}

    def _bearer(self, token: object) -> Bearer | None:
        """Nobody, where the bench file names no tokens: a broker is not this machine."""
        return bearer_of(self.tokens, token) if isinstance(token, str) and self.tokens is not None else None


def _name(what: str, message: aiomqtt.Message, payload: bytes) -> bytes | None:
    """Of a command that its sender has named by correlation data. The payload, which holds the token, belongs to it: scripts count
    from 1 each time."""
    correlation = getattr(message.properties, "CorrelationData", None)
    if not correlation:
        return None
    parts = (what.encode(errors="replace"), correlation, payload)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def _may_answer(topic: str, own: str) -> bool:
    """A name, no filter; and not one of the bench's own, on which only labd speaks."""
    fits = 0 < len(topic.encode(errors="surrogatepass")) <= LONGEST_TOPIC
    return fits and not any(wrong in topic for wrong in "+#\0") and not f"{topic}/".startswith(f"{own}/")


def _correlated(message: aiomqtt.Message) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if data := getattr(message.properties, "CorrelationData", None):
        properties.CorrelationData = data
    return properties
