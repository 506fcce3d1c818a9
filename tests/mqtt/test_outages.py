"""What may go wrong around the MQTT sink while it runs: the broker away, the outbox damaged or refused, a session left half open."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from labd.mqtt import messages
from labd.mqtt.connection import Connection
from labd.mqtt.identity import identity
from labd.records import KpiRecord, Provenance
from labd.stream.news import NewsKind
from tests.mqtt.broker import SOON_S, Broker, broker, listening, needs_mosquitto
from tests.mqtt.lab import as_stored, as_told, lab, until

pytestmark = needs_mosquitto

OUTBOX = "store/outbox-mqtt.sqlite"


def figures(count: int) -> list[KpiRecord]:
    return [
        KpiRecord("energy_per_inference", f"point {n}", n * 1e-6, "J", 1e-9, 0.0, 1.0, 4, Provenance.MEASURED, "integral", flags=("cold",))
        for n in range(count)
    ]


async def test_figures_of_a_run_that_ends_while_the_broker_is_away_arrive_once_each_and_complete(tmp_path: Path, running: Broker) -> None:
    async with lab(tmp_path, running.port) as found:
        await until(lambda: found.sink.status()["connected"])
        running.stop()
        await until(lambda: not found.sink.status()["connected"])
        run = await found.begin()
        await found.catalogue.do(lambda c: c.kpis.put(run, figures(150)))
        await found.log(run, NewsKind.RUN_ENDED, "finished")
        await until(lambda: found.sink.status().get("waiting") == 151)  # counted while nobody is connected
        running.start()
        async with listening(running.port) as (heard, _):
            await until(lambda: found.sink.status()["waiting"] == 0)
            told = await heard.until("kpi", 150)
        assert [(one["run"], one["at"], one["value"], one["flags"]) for one in told] == [
            (run, record.at, record.value, ["cold"]) for record in figures(150)
        ]


async def test_what_happened_before_the_broker_first_came_arrives_when_it_does(tmp_path: Path) -> None:
    found = broker(tmp_path / "broker")
    found.stop()
    async with lab(tmp_path, found.port) as bench:
        run = await bench.begin()
        for n in range(5):
            await bench.log(run, NewsKind.NOTICE, f"notice {n}")
        await until(lambda: bool(bench.sink.status()["error"]))
        found.start()
        try:
            async with listening(found.port) as (heard, _):
                assert as_told(await heard.until("events", 5)) == as_stored(await bench.stored())
        finally:
            found.stop()


async def test_a_damaged_outbox_is_put_aside_and_everything_is_told_again(tmp_path: Path, running: Broker) -> None:
    async with listening(running.port) as (heard, _):
        async with lab(tmp_path, running.port) as found:
            run = await found.begin()
            for n in range(3):
                await found.log(run, NewsKind.NOTICE, f"notice {n}")
            await heard.until("events", 3)
        (tmp_path / OUTBOX).write_bytes(b"what a power cut left" * 1000)
        async with lab(tmp_path, running.port) as found:
            await found.log(run, NewsKind.NOTICE, "after")
            told = await heard.until("events", 7)
            assert as_told(told[3:]) == as_stored(await found.stored())
            assert "damaged" in found.sink.status()["remark"]
            await until(lambda: found.sink.status()["error"] == "")
    assert (tmp_path / f"{OUTBOX}.damaged").exists()


async def test_a_disk_that_refuses_the_outbox_is_told_and_waited_out(tmp_path: Path, running: Broker) -> None:
    in_the_way = tmp_path / OUTBOX
    in_the_way.mkdir(parents=True)
    async with listening(running.port) as (heard, _), lab(tmp_path, running.port) as found:
        run = await found.begin()
        await found.log(run, NewsKind.NOTICE, "notice")
        await until(lambda: "unable to open" in found.sink.status()["error"])
        assert (await heard.until("status", 1))[-1]["state"] == "online"
        in_the_way.rmdir()
        assert as_told(await heard.until("events", 1)) == as_stored(await found.stored())
        await until(lambda: found.sink.status()["error"] == "")


async def test_an_outbox_that_refuses_what_is_in_mid_delivery_ends_nothing(tmp_path: Path, running: Broker) -> None:
    async with listening(running.port) as (heard, _), lab(tmp_path, running.port) as found:
        run = await found.begin()
        await found.log(run, NewsKind.NOTICE, "before")
        await heard.until("events", 1)
        box = found.sink._outbox
        await box.do(lambda outbox: outbox._db.execute("PRAGMA query_only = 1"))  # type: ignore[attr-defined]
        await found.log(run, NewsKind.NOTICE, "written nowhere yet")
        await until(lambda: "readonly" in found.sink.status()["error"])
        await box.do(lambda outbox: outbox._db.execute("PRAGMA query_only = 0"))  # type: ignore[attr-defined]
        await heard.until("events", 2)
        assert as_told(heard.on("events")) == as_stored(await found.stored())


async def test_a_fault_that_nobody_foresaw_ends_neither_the_sink_nor_what_it_tells(tmp_path: Path, running: Broker) -> None:
    async def faulty(_client: Connection, _message: aiomqtt.Message) -> None:
        raise RuntimeError("a fault")

    async with listening(running.port) as (heard, client), lab(tmp_path, running.port, faulty, commands=True) as found:
        await heard.until("status", 1)
        await client.publish("labd/bench-1/command/abort", b'{"token": "x"}', qos=1)
        await until(lambda: "a fault" in found.sink.status()["error"])
        await found.log(await found.begin(), NewsKind.NOTICE, "kept")
        await until(lambda: found.sink.status()["waiting"] == 1)


async def test_a_last_will_that_comes_late_does_not_stand(tmp_path: Path, running: Broker) -> None:
    async with listening(running.port) as (heard, client), lab(tmp_path, running.port) as found:
        await heard.until("status", 1)
        await client.publish(found.sink.topics.status, messages.status("offline"), qos=1, retain=True)
        assert [one["state"] for one in await heard.until("status", 3)] == ["online", "offline", "online"]


async def test_a_session_that_was_left_half_open_is_taken_over_at_once(tmp_path: Path, running: Broker) -> None:
    """A power cut closes no connection: the broker would take it for alive until its keep-alive is over."""
    store = tmp_path / "store"
    store.mkdir()
    topic = "labd/bench-1/status"
    will = aiomqtt.Will(topic, messages.status("offline"), qos=1, retain=True)
    before = Connection("127.0.0.1", running.port, identifier=identity(store, "Bench 1"), will=will, keepalive=60)
    async with listening(running.port) as (heard, _), before:
        async with lab(tmp_path, running.port):
            with pytest.raises(aiomqtt.MqttError):
                await asyncio.wait_for(anext(before.messages), SOON_S)  # its connection is no more
            await heard.until_seen(lambda: bool(heard.on("status")) and heard.on("status")[-1]["state"] == "online")
        assert [one["state"] for one in heard.on("status")][-2:] == ["online", "stopped"]


def test_a_bench_keeps_its_name_with_the_broker_and_shares_it_with_no_other(tmp_path: Path) -> None:
    first = identity(tmp_path, "Bench 1")
    assert identity(tmp_path, "Bench 1") == first
    assert identity(tmp_path, "Bench 2") != first
    (tmp_path / "elsewhere").mkdir()
    assert identity(tmp_path / "elsewhere", "Bench 1") != first
    (tmp_path / "mqtt-client").write_text("")  # what a power cut may leave
    again = identity(tmp_path, "Bench 1")
    assert identity(tmp_path, "Bench 1") == again != "labd-bench-1-"


def openssl(*given: str) -> None:
    subprocess.run(["openssl", *given], check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A self-made one, and a certificate of it for 127.0.0.1."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    names = tmp_path / "names"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    made = [str(tmp_path / name) for name in ("ca.pem", "ca.key", "broker.csr", "broker.key", "broker.pem")]
    ca, ca_key, request, broker_key, certificate = made
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=lab", "-keyout", ca_key, "-out", ca)
    openssl("req", *key, "-subj", "/CN=broker", "-keyout", broker_key, "-out", request)
    signed = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", str(names))
    openssl("x509", "-req", "-in", request, *signed, "-out", certificate)
    return tmp_path


# paho leaves the socket of a handshake that failed to the garbage collector
@pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_an_encrypted_broker_is_spoken_to_only_with_a_certificate_of_the_authority_named(tmp_path: Path, authority: Path) -> None:
    secure = [f"certfile {authority}/broker.pem", f"keyfile {authority}/broker.key"]
    found = broker(tmp_path / "broker", *secure)
    encrypted: dict[str, Any] = {"tls": True, "tls_ca": str(authority / "ca.pem")}
    try:
        async with lab(tmp_path / "a", found.port, **encrypted) as bench:
            run = await bench.begin()
            await bench.log(run, NewsKind.NOTICE, "in private")
            await until(lambda: bench.sink.status()["connected"] and bench.sink.status().get("waiting") == 0)
            await until(lambda: bench.sink.status()["error"] == "")
        async with lab(tmp_path / "b", found.port, tls=True) as bench:  # the system's authorities know nothing of this one
            await until(lambda: "CERTIFICATE_VERIFY_FAILED" in bench.sink.status()["error"])
            assert bench.sink.status()["connected"] is False
    finally:
        found.stop()
