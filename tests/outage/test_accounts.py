"""What `make outage` holds against each other: any difference falls short, and both sides are said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.outage import __main__ as outage
from benchmarks.outage.accounts import Account, compare, stored
from benchmarks.torture.found import Found
from tests.influx.lab import BLOCK, lab

ONE = Account(100, 10_000, 1.25, 0.5, ((1, "run_started", "begins"), (2, "run_ended", "finished")), 3)


def short(there: Account) -> list[str]:
    found = Found()
    compare(found, ONE, there, "a run")
    assert str(ONE) in found.said[0]
    assert str(there) in found.said[0]
    return found.short


def test_the_same_is_no_shortcoming() -> None:
    assert short(replace(ONE, energy_j=1.25 * (1 + 1e-13))) == []


@pytest.mark.parametrize(
    "other",
    [
        {"points": 99},
        {"points": 101},
        {"samples": 9_999},
        {"figures": 2},
        {"events": ONE.events[:1]},
        {"events": ((1, "run_started", "begins"), (3, "run_ended", "finished"))},
        {"energy_j": 1.25 * (1 + 1e-11)},
        {"charge_c": 0.5 * (1 - 1e-11)},
    ],
)
def test_every_difference_falls_short(other: dict[str, Any]) -> None:
    assert short(replace(ONE, **other))


def test_nothing_stored_shows_nothing() -> None:
    found = Found()
    nothing = Account(0, 0, 0.0, 0.0, (), 0)
    compare(found, nothing, nothing, "a run")
    assert found.short == ["a run: nothing is stored, so that nothing is shown"]


async def test_attempts_that_were_cut_off_are_stored_too(tmp_path: Path) -> None:
    async with lab(tmp_path / "store") as found:
        await found.begin(2)
        await found.capture(2, bad=[float("nan"), float("inf"), 1e-3])
        traces = tmp_path / "store/traces" / found.run
        (trace,) = (path for path in traces.glob("*.parquet") if path.name.count(".") == 1)
        trace.with_name(f"{trace.stem}-2.parquet").write_bytes(trace.read_bytes())
        account = stored(tmp_path / "store", found.run)
    assert account.samples == 2 * (2 * BLOCK - 4)
    assert account.points == 2 * 40
    assert len(account.events) == 3


def test_only_refuses_a_case_that_is_not_there_and_names_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        outage.main(["--only", "nothing"])
    assert "kills-victoria" in capsys.readouterr().err
