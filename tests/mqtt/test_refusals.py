"""What a real Mosquitto does not take: kept where that may change, rejected and counted where it never will."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiomqtt import MqttError

from labd.mqtt.connection import Connection, Refused, packet_bytes
from labd.mqtt.delivery import Delivery
from labd.outbox.contract import Books, Caps, Message
from labd.outbox.session import OutboxSession
from labd.patience import FIRST_S, LONGEST_S, Patience
from labd.stream.news import NewsKind
from tests.mqtt.broker import Broker, broker, listening, needs_mosquitto
from tests.mqtt.lab import as_stored, as_told, lab, until

pytestmark = needs_mosquitto


@pytest.fixture
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Broker]:
    """One with a limit, given as a line of its configuration."""
    found = broker(tmp_path / "broker", request.param)
    yield found
    found.stop()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    async with Connection("127.0.0.1", port, identifier="a") as found:
        yield found


async def some_while_it_goes(delivery: Delivery, found: Broker) -> None:
    async with connected(found.port) as client:
        found.stop()
        await delivery.some(client)


async def test_events_that_the_bench_may_not_publish_wait_until_it_may(tmp_path: Path) -> None:
    allowed = tmp_path / "acl"
    allowed.write_text("topic write labd/bench-1/status\ntopic read labd/#\n")
    allowed.chmod(0o600)
    found = broker(tmp_path / "broker", f"acl_file {allowed}")
    try:
        async with lab(tmp_path, found.port) as bench:
            run = await bench.begin()
            for n in range(3):
                await bench.log(run, NewsKind.NOTICE, f"notice {n}")
            await until(lambda: "Not authorized" in bench.sink.status()["error"])
            said = bench.sink.status()
            assert (said["connected"], said["rejected"], said["dropped"]) == (True, 0, 0)
            async with listening(found.port) as (heard, _):
                allowed.write_text("topic readwrite labd/#\n")
                found.reload()
                await heard.until("events", 3)
            assert as_told(heard.on("events")) == as_stored(await bench.stored())
            await until(lambda: (bench.sink.status()["waiting"], bench.sink.status()["error"]) == (0, ""))
    finally:
        found.stop()


@pytest.mark.parametrize("small", ["max_packet_size 2000"], indirect=True)
async def test_an_event_larger_than_the_broker_says_it_takes_is_rejected_and_the_others_arrive(tmp_path: Path, small: Broker) -> None:
    async with listening(small.port) as (heard, _), lab(tmp_path, small.port) as bench:
        run = await bench.begin()
        for text in ("before", "x" * 5000, "after"):
            await bench.log(run, NewsKind.NOTICE, text)
        await heard.until("events", 2)
        assert [one["text"] for one in heard.on("events")] == ["before", "after"]
        await until(lambda: (bench.sink.status()["rejected"], bench.sink.status()["waiting"]) == (1, 0))


@pytest.mark.parametrize("small", ["max_packet_size 2000"], indirect=True)
async def test_what_fits_exactly_is_taken_and_one_byte_more_is_never_sent(small: Broker) -> None:
    async with connected(small.port) as client:
        fits = b"x" * (2000 - 9)
        await client.deliver("t", fits)
        with pytest.raises(Refused, match="2001 bytes, it takes at most 2000"):
            await client.deliver("t", fits + b"x")
        await client.deliver("t", b"the connection stands")


@pytest.mark.parametrize(("payload", "size"), [(0, 8), (121, 129), (122, 131), (16_377, 16_386), (16_378, 16_388)])
def test_the_length_of_a_packet_takes_a_byte_for_every_seven_bits(payload: int, size: int) -> None:
    """Topic `t`: 6 bytes of topic, identifier and no properties; 127 and 16383 are the longest rests of one and two bytes."""
    assert packet_bytes("t", b"x" * payload) == size


@pytest.mark.parametrize("small", ["message_size_limit 2000"], indirect=True)
async def test_a_message_at_which_the_broker_cuts_the_connection_three_times_is_given_up(tmp_path: Path, small: Broker) -> None:
    async with OutboxSession(tmp_path / "box.sqlite", Caps()) as box:
        texts = (b'{"n":0}', b'{"x":"' + b"x" * 5000 + b'"}', b'{"n":1}')
        await box.change(lambda outbox: outbox.put([Message("t", text, 1) for text in texts]))
        delivery = Delivery(box, Patience())
        seen: list[tuple[bool, Books | None]] = []
        for _ in range(3):
            async with connected(small.port) as client:
                with pytest.raises(MqttError):
                    await delivery.some(client)
            seen.append((delivery.suspects, box.books))
        assert [(suspects, books.waiting, books.rejected) for suspects, books in seen if books] == [
            (True, 2, 0),
            (True, 2, 0),
            (False, 1, 1),
        ]
        async with connected(small.port) as client:
            assert await delivery.some(client)
            assert not await delivery.some(client)


async def test_a_broker_that_goes_while_messages_are_under_way_makes_none_of_them_suspect_for_good(tmp_path: Path) -> None:
    found = broker(tmp_path / "broker")
    async with OutboxSession(tmp_path / "box.sqlite", Caps()) as box:
        delivery = Delivery(box, Patience())
        try:
            for n in range(5):
                await box.change(lambda outbox, n=n: outbox.put([Message("t", str(n).encode(), 1)]))  # type: ignore[misc]
                with pytest.raises(MqttError):
                    await some_while_it_goes(delivery, found)
                found.start()
                async with connected(found.port) as client:
                    assert await delivery.some(client)
                assert not delivery.suspects
        finally:
            found.stop()
        assert box.books == Books(0, 0, 0, 0)


def test_patience_is_spent_by_failures_and_restored_by_success_only() -> None:
    patience = Patience()
    waits = [patience.spent() for _ in range(12)]
    assert all(0.5 * FIRST_S * 2**n <= wait <= 1.5 * FIRST_S * 2**n for n, wait in enumerate(waits[:6]))
    assert all(wait >= 0.5 * LONGEST_S for wait in waits[6:])
    patience.restored()
    assert patience.spent() <= 1.5 * FIRST_S
