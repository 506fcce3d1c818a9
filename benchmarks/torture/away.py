"""The broker is away while a run ends, and the daemon restarts meanwhile: every event and figure arrives as it is in the catalogue."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.torture.found import Found, Unexpected
from benchmarks.torture.plans import ONE_MODE
from benchmarks.torture.served import Served, served, until
from labd.store.catalogue import Catalogue
from labd.stream.news import NewsKind
from tests.cli.bench_apart import bench_apart
from tests.mqtt.broker import MOSQUITTO, broker

ARRIVE_S = 90.0
QUIET_S = 2.0  # nothing more has come for so long
FIGURE = ("id", "at", "value", "unit", "u", "low", "high", "n", "provenance", "method", "note")


def away(folder: Path, found: Found, *, seconds: float) -> None:
    """Raises Unexpected."""
    if MOSQUITTO is None:
        raise Unexpected("not tried: mosquitto is not installed")
    running = broker(folder / "broker")
    heard = _Heard(running.port)
    try:
        with bench_apart(folder) as bench:
            bench.file.write_text(bench.file.read_text() + f'\n[mqtt]\nhost = "127.0.0.1"\nport = {running.port}\n')
            with served(bench.file, folder) as daemon:
                job = daemon.submit(ONE_MODE)
                daemon.until_capturing(job)
                running.stop()
                gone_s = time.monotonic()
                daemon.stop()
                daemon.start()  # the job goes on, and ends while the broker is away
                row = daemon.until_ended(job, within_s=300)
                found.expect(row["state"] == "finished", f"the run ended {row['state']}: {row['error']}")
                time.sleep(max(0.0, seconds - (time.monotonic() - gone_s)))  # away for as long as is asked for
                was_s = time.monotonic() - gone_s
                running.start()
                _judge(found, daemon, str(row["run_id"]), heard, was_s)
    finally:
        heard.close()
        running.stop()


def _judge(found: Found, daemon: Served, run: str, heard: _Heard, seconds: float) -> None:
    with Catalogue.open_read_only(daemon.store) as catalogue:
        events = [(one.n, one.event.t_ns, one.event.kind, one.event.text) for one in catalogue.runs.events_after(0, limit=10_000)]
        figures = [tuple(getattr(one, name) for name in FIGURE) for one in catalogue.kpis.of(run)]
    try:
        until(lambda: heard.whole(len(events), len(figures)), within_s=ARRIVE_S, what=f"{len(events)} events and {len(figures)} figures")
    except Unexpected as error:
        found.expect(False, str(error))
    _until_quiet(heard)
    came = heard.events()
    found.expect(came == events, f"{len(came)} events arrived, {len(events)} are stored, and they are not the same: {_apart(came, events)}")
    last = heard.figures_after_the_end()
    found.expect(bool(figures), "the run has no figures")
    more, fewer = Counter(last) - Counter(figures), Counter(figures) - Counter(last)
    found.expect(not fewer, f"{fewer.total()} figures have not arrived as they are stored: {list(fewer)[:2]}")
    found.expect(not more, f"{more.total()} figures came more than once, or as they are not stored: {list(more)[:2]}")
    found.say(
        f"away for {seconds:.0f} s with a restart of the daemon and the end of the run: {len(came)} of {len(events)} events and "
        f"{len(figures) - fewer.total()} of {len(figures)} figures arrived as stored"
    )


def _until_quiet(heard: _Heard) -> None:
    count = -1
    while count != heard.count():
        count = heard.count()
        time.sleep(QUIET_S)  # what comes too often comes late


def _apart(one: list[Any], other: list[Any]) -> str:
    """The first that only one of them has."""
    return next((f"{item!r}" for item in [*one, *other] if (item in one) != (item in other)), "their order or number")


class _Heard:
    """A client with a session that outlives its connection, and everything that came to it, in its order."""

    def __init__(self, port: int) -> None:
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="torture", clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe([("labd/+/events", 1), ("labd/+/kpi", 1)])
        self._client.on_message = self._take
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def count(self) -> int:
        with self._lock:
            return len(self._messages)

    def whole(self, events: int, figures: int) -> bool | None:
        """True when at least so many have come; None: not yet."""
        return (len(self.events()) >= events and len(self.figures_after_the_end()) >= figures) or None

    def events(self) -> list[tuple[Any, ...]]:
        """Each once, in the order in which they first came: after a crash one may come twice, `run` and `n` name it."""
        with self._lock:
            bodies = {(said["run"], said["n"]): said for topic, said in reversed(self._messages) if topic == "events"}
        return [tuple(said[name] for name in ("n", "t_ns", "kind", "text")) for said in reversed(bodies.values())]

    def figures_after_the_end(self) -> list[tuple[Any, ...]]:
        """Those that follow the last end of the run: it ended before, interrupted, with the figures it had then."""
        with self._lock:
            messages = list(self._messages)
        ends = [n for n, (topic, said) in enumerate(messages) if topic == "events" and said["kind"] == NewsKind.RUN_ENDED]
        after = messages[ends[-1] :] if ends else []
        return [tuple(said[name] for name in FIGURE) for topic, said in after if topic == "kpi"]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._lock:
            self._messages.append((message.topic.rpartition("/")[2], json.loads(message.payload)))
