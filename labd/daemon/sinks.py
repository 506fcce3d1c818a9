"""The sinks that a bench file asks for, and what the daemon says of itself to those that keep it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from labd.daemon.around import Surroundings
from labd.daemon.bench_state import BenchState
from labd.daemon.mqtt_commands import MqttCommands
from labd.grafana.push import GrafanaLiveSink
from labd.influx.sink import Around, InfluxSink
from labd.mqtt.sink import MqttSink


class Sink(Protocol):
    """status: JSON data for the status page. run: its one task, for ever; a fault of it never ends the daemon."""

    def status(self) -> dict[str, Any]: ...

    async def run(self) -> None: ...


def sinks_of(state: BenchState, around: Surroundings, tokens: Path | None) -> dict[str, Sink]:
    """By their names, in the order in which they start."""
    bench, folder = state.bench, state.bench.path.parent
    found: dict[str, Sink] = {}
    if bench.influx is not None:
        found["influx"] = InfluxSink(
            bench.influx, bench.name, Around(around.catalogue, around.news, around.feed, folder, lambda: itself(state))
        )
    if bench.grafana_live is not None:
        found["grafana_live"] = GrafanaLiveSink(bench.grafana_live, bench.name, folder=folder, feed=around.feed)
    if bench.mqtt is not None:
        found["mqtt"] = MqttSink(
            bench.mqtt,
            bench.name,
            folder=folder,
            catalogue=around.catalogue,
            news=around.news,
            feed=around.feed,
            command=MqttCommands(state.scheduler, state, tokens),
        )
    return found


async def itself(state: BenchState) -> Mapping[str, Mapping[str, Any]]:
    """`bench`, and each sink with an outbox by its name: docs/reference/influx.md."""
    status = await state.status()
    job = await state.scheduler.job(status.queue.job) if status.queue.job else None
    bench = {
        "in_use": int(bool(status.in_use_by)),
        "state": "paused" if status.queue.paused or status.queue.job_paused else "measuring" if job else "idle",
        "plan": job.plan_name if job else "",
        "queue_waiting": status.queue.waiting,
        "queue_paused": int(status.queue.paused),
        "alarms": len(status.alarms),
        "guard": None if status.guard is None else int(status.guard),
        "resident": status.process.resident_bytes,
        "free": status.free_bytes,
        "descriptors": status.process.descriptors,
        "threads": status.process.threads,
        "tasks": status.process.tasks,
        "uptime": status.uptime_s,
    }
    return {"bench": bench, **{name: _outbox(said) for name, said in status.sinks.items() if "waiting" in said}}


def _outbox(said: Mapping[str, Any]) -> dict[str, Any]:
    names = {"oldest": "oldest_s", "latency": "latency_s"}
    plain = ("waiting", "waiting_bytes", "sent", "rejected", "dropped", "retries")
    found = {name: said.get(name) for name in plain} | {name: said.get(key) for name, key in names.items()}
    return {**found, "connected": int(bool(said.get("connected")))}
