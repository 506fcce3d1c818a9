"""Commands that come over MQTT: submit and abort, with a token as over HTTP, answered where the sender asks for it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import BaseModel, ValidationError

from labd.api.models import AbortBody, JobBody
from labd.api.services import BenchOperations
from labd.api.tokens import Bearer, Scope, bearer_of
from labd.errors import LabdError
from labd.queue.scheduler import Scheduler

LARGEST = 1 << 20

T = TypeVar("T", bound=BaseModel)

log = logging.getLogger(__name__)


class AbortCommand(AbortBody):
    """job: which; left out, the one that runs."""

    job: str = ""


@dataclass(frozen=True, slots=True)
class MqttCommands:
    """Called with each message of a command topic; whatever it holds, it is answered and nothing is raised."""

    queue: Scheduler
    bench: BenchOperations
    tokens: Path | None

    async def __call__(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        what = str(message.topic).rpartition("/")[2]
        answer = await self._answer(what, message.payload if isinstance(message.payload, bytes) else b"")
        log.info("mqtt command %s: %s", what, answer.get("error") or "done")
        if topic := getattr(message.properties, "ResponseTopic", None):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if data := getattr(message.properties, "CorrelationData", None):
                properties.CorrelationData = data
            await client.publish(topic, json.dumps(answer), qos=1, properties=properties)

    async def _answer(self, what: str, payload: bytes) -> dict[str, Any]:
        try:
            said = json.loads(payload) if len(payload) <= LARGEST else None
            if not isinstance(said, dict):
                return {"error": f"a command is a JSON object of at most {LARGEST} bytes"}
            bearer = self._bearer(said.pop("token", None))
            if bearer is None or bearer.scope is not Scope.CONTROL:
                return {"error": "a command needs a token with scope control, as `token`"}
            return await self._done(what, said, bearer)
        except (ValidationError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            return {"error": f"the command is wrong: {error}"}
        except LabdError as error:
            return {"error": str(error)}

    async def _done(self, what: str, said: Mapping[str, Any], bearer: Bearer) -> dict[str, Any]:
        if what == "submit":
            body = _read(JobBody, said)
            found = await self.bench.plan_check(body.plan_text)
            job = await self.queue.submit(body.new_job(name=found.name, who=bearer.name, estimate_s=found.estimate_s))
            return {"job": job.id, "state": job.state}
        if what == "abort":
            command = _read(AbortCommand, said)
            running = command.job or (await self.queue.status()).job
            job = await self.queue.abort(running, f"{command.why} ({bearer.name})")
            return {"job": job.id, "state": job.state}
        return {"error": f"there is no command {what!r}; there are submit and abort"}

    def _bearer(self, token: object) -> Bearer | None:
        """Nobody, where the bench file names no tokens: a broker is not this machine."""
        return bearer_of(self.tokens, token) if isinstance(token, str) and self.tokens is not None else None


def _read(model: type[T], said: Mapping[str, Any]) -> T:
    return model.model_validate(said)
