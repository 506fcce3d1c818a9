"""What the store knows of a capture reaches its figures: clipped samples, missed deadlines, who fired the board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labd.analyse.capture import capture_input
from labd.analyse.run import analyse_run, setup_of, trace_of
from labd.kpi.inputs import CaptureInput
from labd.records import KpiRecord, Mode, Role
from labd.store.catalogue import Catalogue
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block, BlockFlag
from tests.analyse.stored_run import Made, captures, instrument, new_run


def stored(
    folder: Path, made: Made, *, block: BlockFlag = BlockFlag.NONE, said: tuple[str, ...] = ()
) -> tuple[CaptureInput, list[KpiRecord]]:
    """A run of one capture. said: what the runner keeps beside the samples."""
    key = made.planned.key
    with Catalogue.open(folder) as catalogue:
        run = catalogue.runs.create(new_run(), [made.planned])
        taken = {"acquisition": made.acquisition, "served": made.events, "missed": 0, "laps": []}
        row = catalogue.captures.begin(run.id, key, taken)
        with TraceWriter(catalogue.trace_path(row)) as writer:
            for stretch in made.stretches:
                dt_ns = made.acquisition.dt_ns
                one = Block(writer.samples, round(stretch.t0_s * 1e9), dt_ns, stretch.current, stretch.voltage, stretch.marker, flags=block)
                writer.write(one, trigger={"event": 0} if made.planned.role is Role.EVENT else None)
            names = tuple(str(flag.name).lower() for flag in BlockFlag if flag in writer.flags)
            samples, stretches = writer.samples, len(writer.stretches)
        catalogue.captures.finish(run.id, key, samples=samples, stretches=stretches, flags=(*names, *said))
        row = catalogue.captures.get(run.id, key)
        return capture_input(row, trace_of(catalogue, row), instrument(), setup_of(run)), list(analyse_run(catalogue, run.id).records)


def of(role: Role, mode: Mode = Mode.EVENT_SLEEP) -> Made:
    return next(made for made in captures((10.0,), (mode,)) if made.planned.role is role)


@pytest.mark.parametrize("role", [Role.FLOOR, Role.MEAN])
def test_clipped_samples_flag_every_figure_of_their_capture(tmp_path: Path, role: Role) -> None:
    made = of(role)
    _, records = stored(tmp_path, made, block=BlockFlag.CLIPPED)
    own = [record for record in records if record.captures == (made.planned.key,)]
    assert own
    assert all(record.flags.count("clipped") == 1 for record in own)


def test_missed_deadlines_flag_every_figure_of_their_capture(tmp_path: Path) -> None:
    made = of(Role.MEAN)
    given, records = stored(tmp_path, made, block=BlockFlag.OVER_RANGE, said=("2 deadlines missed",))
    assert given.flags == ("2 deadlines missed",)
    own = [record for record in records if record.captures == (made.planned.key,)]
    assert own
    assert all("2 deadlines missed" in record.flags and "over range" in record.flags for record in own)


def test_a_capture_without_a_word_has_no_flag(tmp_path: Path) -> None:
    given, records = stored(tmp_path, of(Role.FLOOR))
    assert given.flags == ()
    assert all(not {"clipped", "over range"} & set(record.flags) for record in records)


def test_the_instrument_fires_the_board_in_event_captures_only(tmp_path: Path) -> None:
    event = of(Role.EVENT)
    at_once = replace(event, acquisition=replace(event.acquisition, pretrigger_points=0))
    assert stored(tmp_path / "a", at_once)[0].trigger_fires_dut
    assert not stored(tmp_path / "b", of(Role.MEAN))[0].trigger_fires_dut


def test_no_more_flows_within_a_reading_than_the_board_draws_or_the_range_holds(tmp_path: Path) -> None:
    """10 uA, which a meter may read 20 % beyond; 40 mA is the board's peak_current. A power analyzer's range is of root mean squares."""
    floor = of(Role.FLOOR)
    assert stored(tmp_path / "a", floor)[0].peak_a == pytest.approx(12e-6)
    assert stored(tmp_path / "b", of(Role.MEAN))[0].peak_a == 40e-3
    columns = ("current", "voltage", "power")
    analyzer = replace(floor, acquisition=replace(floor.acquisition, columns=columns))
    assert stored(tmp_path / "c", analyzer)[0].peak_a == 40e-3


@pytest.mark.parametrize("read", [(), ({"current_a": 1e-3, "voltage_v": 3.0, "power_w": None},) * 9])
def test_a_cross_check_without_power_withholds_the_closure_and_lets_the_run_be_analysed(
    tmp_path: Path, read: tuple[dict[str, float | None], ...]
) -> None:
    mean, other = of(Role.MEAN), of(Role.FLOOR)
    check = replace(mean.planned, key=f"{mean.planned.key}/check", order=1, plan={**mean.planned.plan, "instrument": "check"})
    with Catalogue.open(tmp_path) as catalogue:
        new = new_run()
        tools = {**new.instruments, "check": {**instrument(), "name": "check", "roles": ["cross_check"]}}
        run = catalogue.runs.create(replace(new, instruments=tools), [check])
        taken = {"acquisition": other.acquisition, "served": 0, "readings": list(read)}
        catalogue.captures.begin(run.id, check.key, taken)
        catalogue.captures.finish(run.id, check.key, samples=0, stretches=0, flags=())
        (closure,) = analyse_run(catalogue, run.id).records
    assert (closure.id, closure.value, closure.n) == ("closure.power_analyzer", None, 0)
