"""What Prometheus reads of a daemon."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.api.served import api


async def test_queue_process_and_sinks_are_read_with_their_units(tmp_path: Path) -> None:
    said = {
        "connected": True,
        "waiting": 3,
        "oldest_s": 2.5,
        "sent": 1000,
        "rejected": 2,
        "latency_s": None,
        "server": "http://x",
        "alarm": "mend it",
    }
    async with api(tmp_path) as given:
        given.bench.sinks["influx"] = said
        answer = await given.ask("GET", "metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = {
        (sample.name, sample.labels.get("sink")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["labd_sink_sent_total", "influx"] == 1000
    assert found["labd_sink_oldest_seconds", "influx"] == 2.5
    assert found["labd_sink_connected", "influx"] == 1
    assert found["labd_sink_alarm", "influx"] == 1
    assert ("labd_sink_latency_seconds", "influx") not in found
    assert found["labd_queue_waiting", None] == 0
    assert found["labd_resident_memory_bytes", None] == 10**8
    assert ("labd_guard_alive", None) not in found
