"""`labd status`: how a daemon, its bench and its guard are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from labd.cli.bench_option import connected
from labd.cli.json_option import Json, print_json
from labd.cli.queue import when
from labd.cli.store_option import Store
from labd.client.connection import answer
from labd.client.generated.api.bench import status as get_status
from labd.client.generated.models.bench_status import BenchStatus

COUNTS = {
    "waiting": "wait",
    "sent": "sent",
    "rejected": "refused for good",
    "dropped": "dropped before they could be sent",
    "failed": "not sent",
    "lost_blocks": "blocks left out",
}


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(context: typer.Context, store: Store = None, as_json: Json = False) -> None:
    """Tell what the daemon and its bench are doing."""
    with connected(context, store) as daemon:
        said = answer(get_status.sync_detailed(client=daemon.client))
    if as_json:
        print_json(said.to_dict())
    else:
        print("\n".join(lines(said)))


def lines(said: BenchStatus) -> list[str]:
    """One for each thing that a person at the bench asks first."""
    queue = said.queue
    guard = {True: "alive", False: "LOST", None: "none (the bench is virtual, or attended where there are no guards)"}[said.guard]
    told = [
        f"bench   {said.bench}: {said.in_use_by or 'idle'}",
        f"queue   {queue.waiting} waiting" + (f", paused: {queue.why_paused}" if queue.paused else ""),
        f"guard   {guard}",
        f"store   {said.store}, {said.free_bytes / 1e9:.1f} GB free",
        f"up      {said.uptime_s / 3600:.1f} h, labd {said.versions['labd']}, {said.process.resident_bytes / 1e6:.0f} MB",
    ]
    if queue.job_paused:  # asked to pause: the answer does not say whether its capture still goes on
        told.insert(1, f"job     {queue.job}: paused, outputs off, once the capture under way has ended")
    if (lease := queue.lease) is not None:
        told.append(f"lease   {lease.who} until {when(lease.until_ns)}{f' for {lease.purpose}' if lease.purpose else ''}")
    told += [f"{name:<7} {sink_line(sink)}" for name, sink in said.sinks.to_dict().items()]
    return told + [f"ALARM   {text}" for text in said.alarms]


def sink_line(said: Mapping[str, Any]) -> str:
    """Whether it gets through, why not, and what has become of what it was given."""
    where = next((said[key] for key in ("server", "broker", "url") if key in said), "")
    counts = ", ".join(f"{said[key]} {words}" for key, words in COUNTS.items() if said.get(key))
    state = f"{'connected to' if said.get('connected') else 'NOT connected to'} {where}"
    return "; ".join(text for text in (state, said.get("error"), counts, said.get("remark")) if text)
