"""Commands over MQTT, through a real Mosquitto: only where the bench file takes them, and only with a token that controls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from labd.api.tokens import Scope, make_token
from labd.bench.control import RunControl
from labd.daemon.mqtt_commands import REMEMBERED, REMEMBERED_S, Done, MqttCommands
from labd.mqtt.connection import Connection
from labd.mqtt.section import MqttSection
from labd.mqtt.sink import MqttSink
from labd.queue.scheduler import Scheduler
from labd.queue.steps import JobOutcome
from labd.store.jobs import JobRow, JobState
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed
from labd.stream.hub import Hub
from labd.stream.news import News
from tests.api.served import PLAN, FakeBench
from tests.mqtt.broker import SOON_S, Broker, listening, needs_mosquitto, valid
from tests.mqtt.lab import lab

pytestmark = needs_mosquitto


@dataclass(slots=True)
class Far:
    """Somebody at the other end of the broker."""

    client: aiomqtt.Client
    queue: Scheduler
    answers: asyncio.Queue[tuple[bytes, dict[str, Any]]]
    control: str
    read: str
    online: asyncio.Event
    asked: int = 0

    async def say(self, what: str, payload: bytes, *, to: str = "answers/ann", retain: bool = False) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = to
        self.asked += 1
        properties.CorrelationData = str(self.asked).encode()
        await self.client.publish(f"labd/bench-1/command/{what}", payload, qos=1, retain=retain, properties=properties)

    async def ask(self, what: str, **command: Any) -> dict[str, Any]:
        return await self.ask_raw(what, json.dumps(command).encode())

    async def ask_raw(self, what: str, payload: bytes, *, retain: bool = False) -> dict[str, Any]:
        await self.say(what, payload, retain=retain)
        return await self.answered()

    async def answered(self) -> dict[str, Any]:
        async with asyncio.timeout(SOON_S):
            correlation, answer = await self.answers.get()
        assert correlation == str(self.asked).encode()
        valid("answer", answer)
        return answer


@pytest.fixture
async def far(tmp_path: Path, running: Broker, request: pytest.FixtureRequest) -> AsyncIterator[Far]:
    """commands: as in the bench file, true unless a test says otherwise."""
    commands = getattr(request, "param", True)
    tokens = tmp_path / "tokens.toml"
    control, read = make_token(tokens, "ann", Scope.CONTROL), make_token(tokens, "bob", Scope.READ)
    news: Hub[News] = Hub()
    feed: Hub[Feed] = Hub()
    async with CatalogueSession(tmp_path / "store") as catalogue:
        queue = Scheduler(catalogue, bench="Bench 1", run=until_stopped, news=news)
        section = MqttSection.model_validate({"host": "127.0.0.1", "port": running.port, "commands": commands})
        command = MqttCommands(queue, FakeBench(), tokens)
        sink = MqttSink(section, "Bench 1", folder=tmp_path, catalogue=catalogue, news=news, feed=feed, command=command)
        tasks = [asyncio.create_task(sink.run()), asyncio.create_task(queue.run())]
        async with aiomqtt.Client("127.0.0.1", running.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe([("answers/ann", 1), ("labd/bench-1/status", 1)])
            found = Far(client, queue, asyncio.Queue(), control, read, asyncio.Event())
            collecting = asyncio.create_task(collect(found))
            async with asyncio.timeout(SOON_S):
                await found.online.wait()
            yield found
            for task in (collecting, *tasks):
                task.cancel()
            await asyncio.gather(collecting, *tasks, return_exceptions=True)


async def collect(found: Far) -> None:
    async for message in found.client.messages:
        assert isinstance(message.payload, bytes)
        if str(message.topic) == "labd/bench-1/status" and json.loads(message.payload)["state"] == "online":
            found.online.set()
        if str(message.topic) == "answers/ann":
            found.answers.put_nowait((getattr(message.properties, "CorrelationData", b""), json.loads(message.payload)))


async def until_stopped(_job: JobRow, control: RunControl) -> JobOutcome:
    await control.stop.wait()
    return JobOutcome(JobState.INTERRUPTED, "", control.reason)


async def test_a_plan_is_submitted_and_its_run_ended_in_the_name_of_the_token(far: Far) -> None:
    command = {"token": far.control, "plan_text": PLAN, "note": "from afar"}
    valid("command/submit", command)
    answer = await far.ask("submit", **command)
    job = await far.queue.job(answer["job"])
    assert (job.submitted_by, job.note) == ("ann", "from afar")
    async with asyncio.timeout(SOON_S):
        while (await far.queue.status()).job != job.id:  # noqa: ASYNC110  polled as a person would
            await asyncio.sleep(0.01)
    assert (await far.ask("abort", token=far.control, why="lunch")) == {"job": job.id, "state": "interrupted"}
    assert (await far.queue.job(job.id)).error == "lunch (ann)"


@pytest.mark.parametrize("who", ["read", "nobody", "none", "number"])
async def test_without_a_token_that_controls_nothing_is_done(far: Far, who: str) -> None:
    token = {"read": far.read, "nobody": "made-up", "none": None, "number": 7}[who]
    answer = await far.ask("submit", token=token, plan_text=PLAN)
    assert answer == {"error": "a command needs a token with scope control, as `token`"}
    assert await far.queue.jobs() == []


@pytest.mark.parametrize(
    ("what", "payload", "text"),
    [
        ("submit", b"not json", "the command is wrong"),
        ("submit", b"[1]", "a JSON object"),
        ("submit", b"\xff\xfe", "the command is wrong"),
        ("submit", b"[" * 100_000, "the command is wrong"),
        ("submit", b'{"x": "' + b"y" * (1 << 20) + b'"}', "at most"),
        ("submit", b'{"token": ' + b"9" * 5000 + b"}", "the command is wrong"),
        ("abort", b'{"token": "\\ud800"}', "a command needs a token"),
    ],
)
async def test_a_payload_that_is_none_is_answered(far: Far, what: str, payload: bytes, text: str) -> None:
    assert text in (await far.ask_raw(what, payload))["error"]


@pytest.mark.parametrize(
    ("what", "command", "text"),
    [
        ("submit", {"plan_text": "schema = 9"}, "schema"),
        ("submit", {"plan_text": PLAN, "priority": 1000}, "priority"),
        ("submit", {"plan_text": PLAN, "surprise": 1}, "surprise"),
        ("submit", {}, "plan_text"),
        ("submit", {"plan_text": PLAN, "note": "\ud800"}, "note"),
        ("abort", {"job": "j00000000"}, "there is no job"),
        ("abort", {"job": "j" * 100_000}, "job"),
        ("abort", {}, "no job runs"),
        ("dance", {}, "there are submit and abort"),
    ],
)
async def test_a_command_that_is_wrong_is_answered_with_what_is_wrong(far: Far, what: str, command: dict[str, Any], text: str) -> None:
    assert text in (await far.ask(what, token=far.control, **command))["error"]
    assert await far.queue.jobs() == []


@pytest.mark.parametrize("topic", ["a/#", "+/a", "labd/bench-1/status", "labd/bench-1/command/abort"])
async def test_a_topic_on_which_nobody_can_be_answered_costs_the_sender_the_answer_and_nobody_else_anything(far: Far, topic: str) -> None:
    await far.say("abort", json.dumps({"token": far.control}).encode(), to=topic)
    assert await far.ask("abort", token=far.control) == {"error": "no job runs"}


async def test_a_retained_command_is_not_done(far: Far) -> None:
    command = json.dumps({"token": far.control, "plan_text": PLAN}).encode()
    assert await far.ask_raw("submit", command, retain=True) == {"error": "a command must not be retained"}
    assert await far.queue.jobs() == []


async def test_a_command_that_was_retained_before_the_bench_came_is_not_even_heard(tmp_path: Path, running: Broker) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def noted(_client: Connection, message: aiomqtt.Message) -> None:
        assert isinstance(message.payload, bytes)
        heard.put_nowait(message.payload)

    async with listening(running.port, "labd/bench-1/status") as (seen, client):
        await client.publish("labd/bench-1/command/submit", b"retained", qos=1, retain=True)
        async with lab(tmp_path, running.port, noted, commands=True):
            await seen.until("status", 1)
            await client.publish("labd/bench-1/command/submit", b"fresh", qos=1)
            async with asyncio.timeout(SOON_S):
                assert await heard.get() == b"fresh"


async def test_a_command_that_comes_twice_is_done_once_and_answered_twice(far: Far) -> None:
    command = {"token": far.control, "plan_text": PLAN}
    first = await far.ask("submit", **command)
    far.asked -= 1  # as if the sender had not seen that the broker took it
    assert await far.ask("submit", **command) == first
    assert [job.id for job in await far.queue.jobs()] == [first["job"]]
    assert (await far.ask("submit", **command))["job"] != first["job"]


async def test_a_command_that_failed_may_be_sent_again_as_it_is(far: Far) -> None:
    assert (await far.ask("abort", token=far.control))["error"] == "no job runs"
    job = await far.ask("submit", token=far.control, plan_text=PLAN)
    async with asyncio.timeout(SOON_S):
        while (await far.queue.status()).job != job["job"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    far.asked = 0
    assert (await far.ask("abort", token=far.control))["job"] == job["job"]


def test_what_was_done_is_remembered_for_a_while_and_not_without_end() -> None:
    now_s = [0.0]
    done = Done(lambda: now_s[0])
    done.keep(b"a", {"job": "j1"})
    now_s[0] = REMEMBERED_S
    assert done.answer(b"a") == {"job": "j1"}
    now_s[0] += 1.0
    assert done.answer(b"a") is None
    for n in range(REMEMBERED + 1):
        done.keep(str(n).encode(), {"job": str(n)})
    assert done.answer(b"0") is None
    assert done.answer(b"1") == {"job": "1"}


@pytest.mark.parametrize("far", [False], indirect=True)
async def test_a_bench_that_takes_no_commands_hears_none(far: Far) -> None:
    """Messages of one sender are passed on in order: an answer would come before the last."""
    await far.say("submit", json.dumps({"token": far.control, "plan_text": PLAN}).encode())
    await far.client.publish("answers/ann", b'{"last": true}', qos=1)
    async with asyncio.timeout(SOON_S):
        assert (await far.answers.get())[1] == {"last": True}
    assert await far.queue.jobs() == []
