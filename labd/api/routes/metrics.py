"""What the daemon says of itself, for Prometheus and whatever reads its text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from labd.api.answers import BenchStatus
from labd.api.routes.asked import Given

router = APIRouter(tags=["bench"])

GAUGES: Mapping[str, tuple[str, Callable[[BenchStatus], float | None]]] = {
    "labd_queue_waiting": ("jobs that wait", lambda s: s.queue.waiting),
    "labd_queue_paused": ("1 while the queue is paused", lambda s: s.queue.paused),
    "labd_in_use": ("1 while the bench is used", lambda s: bool(s.in_use_by)),
    "labd_guard_alive": ("1 while the guard answers; left out where none is needed", lambda s: s.guard),
    "labd_alarms": ("alarms that stand", lambda s: len(s.alarms)),
    "labd_store_free_bytes": ("free on the store's disk", lambda s: s.free_bytes),
    "labd_resident_memory_bytes": ("of the daemon", lambda s: s.process.resident_bytes),
    "labd_open_descriptors": ("of the daemon", lambda s: s.process.descriptors),
    "labd_threads": ("of the daemon", lambda s: s.process.threads),
    "labd_tasks": ("of the daemon's event loop", lambda s: s.process.tasks),
    "labd_uptime_seconds": ("since the daemon started", lambda s: s.uptime_s),
}
OF_A_SINK = {
    "connected": ("1 while the server takes what it is given", False),
    "alarm": ("1 while nothing gets through before somebody mends the settings", False),
    "waiting": ("messages in the outbox", False),
    "waiting_bytes": ("bytes in the outbox", False),
    "oldest_s": ("how long the oldest message has waited", False),
    "latency_s": ("from the newest point's time to its arrival", False),
    "sent": ("points, or messages, that the server has taken", True),
    "rejected": ("points, or messages, that the server will never take", True),
    "dropped": ("messages that the outbox had to drop", True),
    "requests": ("requests to the server", True),
    "retries": ("requests that failed", True),
}


@router.get("/metrics", operation_id="metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(given: Given) -> Response:
    """In Prometheus' text format; a scraper sends a token of scope `read` as the password of any user."""
    status = await given.bench.status()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Said(status))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Said(Collector):
    """One look at the daemon."""

    def __init__(self, status: BenchStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        for name, (text, value) in GAUGES.items():
            found = value(self._status)
            if found is not None:
                gauge = GaugeMetricFamily(name, text, labels=["bench"])
                gauge.add_metric([self._status.bench], float(found))
                yield gauge
        for key, (text, counts) in OF_A_SINK.items():
            name = f"labd_sink_{key.removesuffix('_s')}{'_seconds' if key.endswith('_s') else ''}"
            family: CounterMetricFamily | GaugeMetricFamily
            family = (CounterMetricFamily if counts else GaugeMetricFamily)(name, text, labels=["bench", "sink"])
            for sink, said in self._status.sinks.items():
                if (found := _number(said, key)) is not None:
                    family.add_metric([self._status.bench, sink], found)
            if family.samples:
                yield family


def _number(said: Mapping[str, Any], key: str) -> float | None:
    found = bool(said[key]) if key == "alarm" and key in said else said.get(key)
    return float(found) if isinstance(found, int | float) else None
