"""The broker is away for a while during a run: afterwards every event has arrived exactly as it is in the catalogue."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.torture.kill import PLAN
from benchmarks.torture.served import Unexpected, served, until
from labd.store.catalogue import Catalogue
from tests.cli.bench_apart import bench_apart
from tests.mqtt.broker import broker

ARRIVE_S = 90.0


def away(folder: Path, seconds: float) -> str:
    """Raises Unexpected."""
    running = broker(folder / "broker")
    heard = _Heard(running.port)
    try:
        with bench_apart(folder) as bench:
            text = bench.file.read_text() + f'\n[mqtt]\nhost = "127.0.0.1"\nport = {running.port}\n'
            bench.file.write_text(text)
            with served(bench.file, folder) as daemon:
                job = daemon.submit(PLAN)
                daemon.until_capturing(job)
                running.stop()
                time.sleep(seconds)  # away for as long as is asked for
                running.start()
                row = daemon.until_ended(job, within_s=300)
                if row["state"] != "finished":
                    raise Unexpected(f"the run ended {row['state']}: {row['error']}")
                with Catalogue.open_read_only(daemon.store) as catalogue:
                    stored = [
                        (one.n, one.event.t_ns, one.event.kind, one.event.text) for one in catalogue.runs.events_after(0, limit=10_000)
                    ]
                until(lambda: True if len(heard.events()) >= len(stored) else None, within_s=ARRIVE_S, what=f"{len(stored)} events")
                if heard.events() != stored:
                    raise Unexpected("the events that arrived are not those of the catalogue")
                return f"broker away for {seconds:g} s: {len(stored)} of {len(stored)} events arrived as stored"
    finally:
        heard.close()
        running.stop()


class _Heard:
    """A client with a session that outlives its connection."""

    def __init__(self, port: int) -> None:
        self._bodies: dict[tuple[str, int], tuple[Any, ...]] = {}
        self._lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="torture", clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe("labd/+/events", qos=1)
        self._client.on_message = self._take
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def events(self) -> list[tuple[Any, ...]]:
        """Each once, in the order in which they first came."""
        with self._lock:
            return list(self._bodies.values())

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        said = json.loads(message.payload)
        with self._lock:
            self._bodies.setdefault((said["run"], said["n"]), (said["n"], said["t_ns"], said["kind"], said["text"]))
