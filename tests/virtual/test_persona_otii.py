"""The virtual Otii app on its socket, with plain lines of JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from labd_virtual.contract import Edge
from labd_virtual.instruments import qoitech_otii
from labd_virtual.instruments.qoitech_otii import DEVICE, Otii
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
EXACT = rows({"current": ((5.0, 0.0, 0.0),), "voltage": ((25.0, 0.0, 0.0),)})


class Client:
    """One session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._number = 0
        self.informed: list[dict[str, Any]] = []

    async def line(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            text = await self._reader.readline()
        assert text.endswith(b"\r\n")
        found: dict[str, Any] = json.loads(text)
        return found

    async def send(self, text: str) -> dict[str, Any]:
        """The response, or the error."""
        self._writer.write(text.encode() + b"\r\n")
        while (message := await self.line())["type"] == "information":
            self.informed.append(message)
        return message

    async def ask(self, command: str, **data: object) -> dict[str, Any]:
        self._number += 1
        number = str(self._number)
        message = await self.send(json.dumps({"type": "request", "cmd": command, "data": data, "trans_id": number}))
        assert (message["trans_id"], message["cmd"]) == (number, command)
        return message

    async def done(self, command: str, **data: object) -> dict[str, Any]:
        message = await self.ask(command, **data)
        assert message["type"] == "response", message
        found: dict[str, Any] = message["data"]
        return found

    async def device(self, command: str, **data: object) -> dict[str, Any]:
        return await self.done(command, device_id=DEVICE, **data)

    async def refused(self, command: str, **data: object) -> tuple[str, dict[str, Any]]:
        message = await self.ask(command, **data)
        assert message["type"] == "error", message
        return message["errorcode"], message["data"]

    async def recording(self) -> int:
        """Main on at 3 V, channels of 1 kHz; the number of a recording that runs."""
        project = (await self.done("otii_create_project"))["project_id"]
        await self.device("arc_add_to_project")
        await self.device("arc_set_main_voltage", value=3)
        await self.device("arc_set_main", enable=True)
        for channel in ("mc", "mv"):
            await self.device("arc_set_channel_samplerate", channel=channel, value=1000)
        await self.done("project_start_recording", project_id=project)
        number = (await self.done("project_get_last_recording", project_id=project))["recording_id"]
        assert isinstance(number, int)
        return number

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def served(bench: Bench, **changes: Any) -> AsyncIterator[tuple[Otii, Client]]:
    persona = Otii(bench.setup(accuracy=EXACT, **changes))
    resource = await persona.serve()
    assert resource.startswith("otii://127.0.0.1:")
    assert resource.endswith("/Bench")
    client = Client(*await asyncio.open_connection("127.0.0.1", int(resource.split(":")[2].split("/")[0])))
    try:
        yield persona, client
    finally:
        client.close()
        await persona.close()


async def test_it_greets_and_lists_its_device() -> None:
    async with served(Bench()) as (_, client):
        greeting = await client.line()
        assert (greeting["type"], greeting["info"], greeting["data"]["server"]) == ("information", "connected", "otii-server")
        assert (await client.done("otii_is_logged_in"))["logged_in"]
        assert (await client.done("otii_has_license", license_type="Automation"))["has_license"]
        devices = (await client.done("otii_get_devices", timeout=1))["devices"]
        assert {"device_id": DEVICE, "name": "Bench", "type": "Ace"} in devices


async def test_what_it_does_not_take_is_an_error_with_its_code() -> None:
    async with served(Bench()) as (_, client):
        await client.line()
        assert await client.refused("arc_fly", device_id=DEVICE) == ("Invalid command", {})
        assert await client.refused("arc_get_main") == ("Missing key in request", {"key": "device_id"})
        assert await client.refused("arc_get_main", device_id="Arc0") == ("Device not connected", {"device_id": "Arc0"})
        for value in (0.4, 25.1):
            code, data = await client.refused("arc_set_main_voltage", device_id=DEVICE, value=value)
            assert (code, data) == ("Invalid key value", {"key": "value", "value": value})
        code, data = await client.refused("arc_set_main", device_id=DEVICE, enable=1)
        assert (code, data["expected_type"], data["received_type"]) == ("Invalid key type", "boolean", "number")
        assert (await client.refused("project_start_recording", project_id=1))[0] == "Project does not exist"
        assert (await client.send("{oops"))["errorcode"] == "Not able to parse request"


async def test_an_arc_takes_no_sample_rate_and_has_its_own() -> None:
    async with served(Bench(), options={"model": "Arc"}) as (_, client):
        await client.line()
        code, _ = await client.refused("arc_set_channel_samplerate", device_id=DEVICE, channel="mc", value=1000)
        assert code == "Command not valid for device type"
        assert (await client.device("arc_get_channel_samplerate", channel="mc"))["value"] == 4000


async def test_it_feeds_the_node_with_its_limit() -> None:
    bench = Bench()
    async with served(bench, lead_ohm=0.2) as (persona, client):
        await client.line()
        await client.device("arc_set_max_current", value=0.25)
        await client.device("arc_set_main_voltage", value=3.3)
        await client.device("arc_set_main", enable=True)
        assert bench.node.drives[-1][1:] == pytest.approx((3.3, 0.5, 0.25, True))
        assert persona.output_on()
        await client.device("arc_set_main", enable=False)
        assert not persona.output_on()
        assert (await client.device("arc_get_main"))["value"] is False


async def test_a_recording_has_samples_numbered_in_time_and_edges() -> None:
    bench = Bench(load=((0, 1e-3), (100 * MS, 20e-3)), volts=3.0)
    bench.pins.scripted["MARK"] = [Edge(50 * MS, 1)]
    async with served(bench, wires={"i2": "MARK"}) as (_, client):
        await client.line()
        number = await client.recording()
        bench.clock.pass_s(0.2)
        which = {"recording_id": number, "device_id": DEVICE}
        assert (await client.done("recording_get_channel_data_count", channel="mc", **which))["count"] == 200
        data = await client.done("recording_get_channel_data", channel="mc", index=90, count=20, **which)
        assert (data["data_type"], data["timestamp"], data["interval"]) == ("analog", pytest.approx(0.09), 1e-3)
        assert data["values"] == pytest.approx([1e-3] * 10 + [20e-3] * 10)
        edges = await client.done("recording_get_channel_data", channel="i2", index=0, count=1, **which)
        assert edges == {"data_type": "digital", "values": [{"timestamp": pytest.approx(0.05), "value": True}]}
        code, _ = await client.refused("recording_get_channel_data", channel="mc", index=190, count=20, **which)
        assert code == "Invalid key value"
        assert bench.clock.limits["smu"] <= bench.clock.now_ns() + 500 * MS
        await client.done("project_stop_recording", project_id=1)
        assert not bench.clock.limits
        assert not (await client.done("recording_is_running", recording_id=number))["running"]
        assert client.informed, "messages that answer nothing come in between"


async def test_two_recordings_do_not_run_at_once() -> None:
    async with served(Bench()) as (_, client):
        await client.line()
        await client.recording()
        assert (await client.refused("project_start_recording", project_id=1))[0] == "Command failure"


async def test_traps_before_a_recording() -> None:
    async with served(Bench(), trap="denied") as (_, client):
        assert (await client.line())["errorcode"] == "Connection denied"
    for trap, code in (("not_logged_in", "Not logged in"), ("no_license", "No license")):
        async with served(Bench(), trap=trap) as (_, client):
            await client.line()
            assert (await client.refused("arc_get_main", device_id=DEVICE))[0] == code
    async with served(Bench(), trap="stays_off") as (persona, client):
        await client.line()
        await client.device("arc_set_main", enable=True)
        assert not persona.output_on()
    async with served(Bench(), trap="other_limit") as (_, client):
        await client.line()
        await client.device("arc_set_max_current", value=0.1)
        assert (await client.device("arc_get_max_current"))["value"] == 5.0


@pytest.mark.parametrize(
    ("trap", "key", "shown"), [("gap", "timestamp", 0.7), ("coarse", "interval", 0.01), ("null", "values", None), ("short", "values", 7)]
)
async def test_traps_of_the_samples(trap: str, key: str, shown: object) -> None:
    bench = Bench(load=((0, 1e-3),), volts=3.0)
    async with served(bench, trap=trap) as (_, client):
        await client.line()
        which = {"recording_id": await client.recording(), "device_id": DEVICE}
        bench.clock.pass_s(0.7)
        early = await client.done("recording_get_channel_data", channel="mc", index=0, count=10, **which)
        assert early == {"data_type": "analog", "timestamp": 0.0, "interval": 1e-3, "values": pytest.approx([1e-3] * 10)}
        late = await client.done("recording_get_channel_data", channel="mc", index=600, count=10, **which)
        found = late[key]
        if trap in ("null", "short"):
            found = found[0] if trap == "null" else len(found)
        assert found == (pytest.approx(shown) if isinstance(shown, float) else shown)


async def test_a_recording_that_stalls_says_that_it_runs() -> None:
    bench = Bench(load=((0, 1e-3),), volts=3.0)
    async with served(bench, trap="stalls") as (_, client):
        await client.line()
        number = await client.recording()
        bench.clock.pass_s(2.0)
        count = await client.done("recording_get_channel_data_count", channel="mc", recording_id=number, device_id=DEVICE)
        assert count == {"count": 500}
        assert (await client.done("recording_is_running", recording_id=number))["running"]


def test_an_unknown_trap_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no trap 'rust'"):
        qoitech_otii.create(Bench().setup(trap="rust"))
