"""A cable that is pulled in the middle of a capture, and what is found at its other end afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from labd.bench import station
from labd.bench.control import RunControl
from labd.bench.runner import Rules
from labd.bench.virtual import Addresses
from labd.daemon import opened, run
from labd.errors import InstrumentFailure, Interrupted, OutputNotVerifiedOff
from labd.records import CaptureState
from labd.store.rows import RunState
from labd.store.trace_reader import read_trace
from labd.stream.news import NewsKind
from tests.cli.bad_wire import BadWire, bad_wire
from tests.daemon.commanded import Bench, commanded

pytestmark = pytest.mark.compiler

FETCH = b"FETC:ELOG?"
THIRD = 3
ANOTHER = (b"VIRTUAL", b"STRANGE")  # in the serial numbers


@dataclass(slots=True)
class Cable:
    """The wires to the supply, one for each time that the bench was opened. next_forge, next_away: of the wires to come."""

    wires: list[BadWire] = field(default_factory=list)
    next_forge: tuple[bytes, bytes] | None = None
    next_away: int = 0


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with commanded(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def cable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Cable:
    assert bench.acts == {}
    cable, straight = Cable(), vars(opened)["virtual_bench"]

    @asynccontextmanager
    async def through_the_cable(spec: Mapping[str, Any]) -> AsyncIterator[Addresses]:
        async with straight(spec) as addresses:
            with bad_wire(addresses.instruments["smu"]) as wire:
                wire.forge, wire.away = cable.next_forge, cable.next_away
                cable.next_away = 0
                cable.wires.append(wire)
                yield replace(addresses, instruments={**addresses.instruments, "smu": wire.resource})

    monkeypatch.setattr(opened, "virtual_bench", through_the_cable)
    monkeypatch.setattr(run, "AGAIN_S", 0.0)
    monkeypatch.setattr(station, "AGAIN_S", 0.0)
    return cable


def pulled(bench: Bench, cable: Cable) -> None:
    def pull(_news: object) -> None:
        cable.wires[0].cut_at = (FETCH, THIRD)

    bench.acts[NewsKind.CAPTURE_STARTED] = pull


async def test_a_capture_that_a_pulled_cable_broke_off_is_made_again_from_its_beginning(bench: Bench, cable: Cable) -> None:
    pulled(bench, cable)
    outcome = await bench.run(bench.request(rules=Rules(retries=1)))
    row, captures = await bench.stored()
    assert (row.state, outcome.failed) == (RunState.FINISHED, ())
    assert {capture.state for capture in captures} == {CaptureState.FINISHED}
    first = min(captures, key=lambda capture: capture.order)
    assert [capture.attempt for capture in captures if capture is not first] == [0] * (len(captures) - 1)
    assert first.attempt == 1
    assert len(cable.wires) == 2
    broken = [news for news in bench.news if news.kind is NewsKind.CAPTURE_ENDED and news.data["error"]]
    assert [news.capture for news in broken] == [first.key]
    trace = read_trace(bench.folder / "store" / first.trace)
    assert len(trace.stretches) == 1, "what the first attempt brought is no part of it"


async def test_after_a_pulled_cable_everything_is_programmed_anew(bench: Bench, cable: Cable) -> None:
    pulled(bench, cable)
    await bench.run(bench.request(rules=Rules(retries=1)))
    before, after = cable.wires
    settings = [line for line in after.heard if line.startswith((b"VOLT", b"CURR"))]
    assert settings
    assert settings[:4] == [line for line in before.heard if line.startswith((b"VOLT", b"CURR"))][:4]
    off = max(k for k, line in enumerate(before.heard) if b"OUTP OFF" in line)
    assert not any(b"OUTP ON" in line for line in before.heard[off:]), "the outputs were off when the bench was left"


async def test_without_retries_a_pulled_cable_ends_the_run(bench: Bench, cable: Cable) -> None:
    pulled(bench, cable)
    with pytest.raises(InstrumentFailure):
        await bench.run(bench.request())
    row, _ = await bench.stored()
    assert row.state is RunState.FAILED
    assert len(cable.wires) == 1


async def test_an_instrument_that_is_back_only_after_a_while_is_waited_for(bench: Bench, cable: Cable) -> None:
    pulled(bench, cable)

    def away(_news: object) -> None:
        cable.wires[0].away = 2  # on the way out, where its output has to be switched off
        cable.next_away = 1  # and when the bench is opened anew

    bench.acts[NewsKind.CAPTURE_ENDED] = away
    outcome = await bench.run(bench.request(rules=Rules(retries=1)))
    assert outcome.failed == ()
    assert len(cable.wires) == 3


async def test_another_specimen_at_the_cable_is_refused_by_name_and_only_asked_who_it_is(bench: Bench, cable: Cable) -> None:
    pulled(bench, cable)
    bench.acts[NewsKind.CAPTURE_ENDED] = lambda _news: setattr(cable, "next_forge", ANOTHER)
    with pytest.raises(InstrumentFailure, match=r"smu .*STRANGE.* answers where .*VIRTUAL.* was"):
        await bench.run(bench.request(rules=Rules(retries=3)))
    row, _ = await bench.stored()
    assert row.state is RunState.FAILED
    assert len(cable.wires) == 2
    assert [line for line in cable.wires[1].heard if b"?" not in line] == []


async def test_an_interrupted_run_is_not_resumed_with_another_specimen(bench: Bench, cable: Cable) -> None:
    control = RunControl()
    bench.acts[NewsKind.CAPTURE_ENDED] = lambda _news: control.abort("enough")
    with pytest.raises(Interrupted):
        await bench.run(bench.request(), control)
    row, _ = await bench.stored()
    cable.next_forge = ANOTHER
    with pytest.raises(InstrumentFailure, match=r"smu .*STRANGE.* answers where .*VIRTUAL.* was"):
        await bench.run(bench.request(resume=row.id))


async def test_another_specimen_that_is_off_does_not_pass_for_the_one_that_feeds_the_board(bench: Bench, cable: Cable) -> None:
    pulled(bench, cable)

    def pull(_news: object) -> None:
        cable.wires[0].cut_at = (FETCH, THIRD)
        cable.wires[0].forge = ANOTHER

    bench.acts[NewsKind.CAPTURE_STARTED] = pull
    with pytest.raises(OutputNotVerifiedOff, match=r"STRANGE.* answers where .*VIRTUAL.* was"):
        await bench.run(bench.request(rules=Rules(retries=1)))
