"""What `make torture` holds a killed daemon to: samples with their values, finished captures, whole rows of the queue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.torture.kept import Queue, fingerprint, lost
from labd.store.trace import Stretch, StretchFacts, Trace


def trace(*values: list[float], t0_ns: int = 0) -> Trace:
    stretches = []
    for number, row in enumerate(values):
        facts = StretchFacts(number, t0_ns + number * 10**9, number * 1000, len(row))
        stretches.append(Stretch(facts, 20_000, np.array(row, np.float32), None, None, np.zeros(len(row), np.uint8)))
    return Trace(Path("x.arrows"), 20_000, tuple(stretches), complete=False)


def test_what_was_recorded_since_is_no_loss() -> None:
    assert lost(trace([1.0, np.nan], [3.0]), trace([1.0, np.nan], [3.0, 4.0], [5.0])) == 0


def test_samples_that_are_gone_are_counted() -> None:
    assert lost(trace([1.0, 2.0, 3.0], [4.0]), trace([1.0, 2.0])) == 2


def test_a_sample_with_another_value_is_lost() -> None:
    assert lost(trace([1.0, 2.0, 3.0]), trace([1.0, 2.5, 3.0, 4.0])) == 1


def test_a_stretch_at_another_time_is_lost() -> None:
    assert lost(trace([1.0, 2.0]), trace([1.0, 2.0], t0_ns=1)) == 2


def test_a_channel_that_is_gone_takes_its_samples_with_it() -> None:
    before = trace([1.0, 2.0])
    after = replace(before, stretches=(replace(before.stretches[0], digital=None),))
    assert lost(before, after) == 2


def test_a_fingerprint_is_of_the_samples_and_not_of_the_file() -> None:
    one = trace([1.0, 2.0])
    assert fingerprint(one) == fingerprint(replace(one, path=Path("x.parquet"), complete=True))
    assert len({fingerprint(one), fingerprint(trace([1.0, 2.5])), fingerprint(trace([1.0], [2.0]))}) == 3


def job(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "plan_name": name, "state": "queued", "priority": 0, "position": 1, "note": "", **more}


def test_the_killed_job_may_change_what_a_kill_changes_and_nothing_else() -> None:
    before = Queue((job("killed", state="running"), job("other")), "", None)
    after = Queue((job("killed", position=7, note="new"), job("other")), "", None)
    assert before.changed(after, killed="killed") == ["note of job killed (killed) was '', is 'new'"]


def test_every_change_of_a_waiting_job_of_the_order_the_pause_and_the_lease_is_told() -> None:
    before = Queue((job("killed"), job("one"), job("other")), "by ann", {"who": "ann"})
    after = Queue((job("killed"), job("other", priority=5), job("one")), "", None)
    assert before.changed(after, killed="killed") == [
        "the order of the queue was ['killed', 'one', 'other'], is ['killed', 'other', 'one']",
        "priority of job other (other) was 0, is 5",
        "why_paused was 'by ann', is ''",
        "lease was {'who': 'ann'}, is None",
    ]


def test_a_job_that_is_gone_is_told() -> None:
    assert Queue((job("killed"), job("one")), "", None).changed(Queue((job("killed"),), "", None), killed="killed")
