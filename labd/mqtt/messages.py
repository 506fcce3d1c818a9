"""What is said over MQTT: topics and JSON payloads; docs/reference/mqtt.md. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labd.outbox.contract import Message
from labd.records import KpiRecord
from labd.store.rows import StoredEvent

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Topics:
    """Of one bench: `PREFIX/BENCH/...`."""

    prefix: str
    bench: str

    def of(self, *levels: str) -> str:
        return "/".join((self.prefix, self.bench, *levels))

    @property
    def status(self) -> str:
        return self.of("status")

    @property
    def events(self) -> str:
        return self.of("events")

    @property
    def kpi(self) -> str:
        return self.of("kpi")

    @property
    def statistics(self) -> str:
        return self.of("statistics")


def status(state: str, **more: Any) -> bytes:
    """state: online, offline (nobody said good-bye) or stopped."""
    return _json({"state": state, **more})


def event(topics: Topics, stored: StoredEvent) -> Message:
    """As it is in the catalogue: (run, n) names it for ever, so that whoever gets it twice can tell."""
    said = stored.event
    body = {"run": stored.run_id, "n": stored.n, "t_ns": said.t_ns, "kind": said.kind, "text": said.text, "capture": said.capture}
    return Message(topics.events, _json({"bench": topics.bench, **body}), said.t_ns)


def kpi(topics: Topics, run_id: str, record: KpiRecord, *, t_ns: int) -> Message:
    """One figure with its uncertainty."""
    names = ("id", "at", "value", "unit", "u", "low", "high", "n", "provenance", "method", "flags", "note")
    body = {name: getattr(record, name) for name in names}
    return Message(topics.kpi, _json({"bench": topics.bench, "run": run_id, **body}), t_ns)


def statistics(run_id: str, capture: str, figures: Mapping[str, Any], *, t_ns: int) -> bytes:
    return _json({"run": run_id, "capture": capture, "t_ns": t_ns, **figures})


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps({"schema": SCHEMA, **body}, separators=(",", ":")).encode()
