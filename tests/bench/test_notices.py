"""What labd cannot assure at a real bench is said: in `labd check` and in the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labd import bench_file
from labd.bench.station import unassured
from labd.errors import FileError
from labd.store.catalogue import Catalogue
from labd_instruments.drivers.keithley_2450 import K2450
from labd_instruments.drivers.keysight_n6705c import N6705C
from tests.bench.whole_run import FIXTURES
from tests.cli.bench_apart import bench_apart, changed, demo_text, labd, stored, write_plan

DEMO = FIXTURES / "benches/demo.toml"


def bench_of(folder: Path, *pairs: tuple[str, str]) -> bench_file.Bench:
    text = demo_text()
    for old, new in pairs:
        text = changed(text, old, new)
    path = folder / "bench.toml"
    path.write_text(text, encoding="utf-8")
    return bench_file.load_bench(path)


@pytest.mark.parametrize(("isolation", "tx_idle", "told"), [("none", "high_z", 1), ("isolator", "high_z", 0), ("none", "driven", 0)])
def test_a_real_port_that_should_float_its_line_is_told(isolation: str, tx_idle: str, told: int) -> None:
    bench = bench_file.load_bench(DEMO)
    link = bench.links["uart"]
    assert bench_file.notices(bench) == ()
    real = link.model_copy(update={"virtual": False, "port": "/dev/ttyACM0", "isolation": isolation, "tx_idle": tx_idle})
    assert len(bench_file.notices(replace_links(bench, real))) == told


def replace_links(bench: Any, link: Any) -> Any:
    return bench.model_copy(update={"links": {"uart": link}})


def test_a_trigger_line_that_idles_high_is_refused_unless_it_is_isolated(tmp_path: Path) -> None:
    negative = ("fire_pin = 3 }", 'fire_pin = 3, fire_polarity = "NEG" }')
    with pytest.raises(FileError, match=r"fire_polarity.*idles high"):
        bench_of(tmp_path, negative)
    trigger = 'to = "board.TRIG"\nlevel = "3.0 V"\nisolation = '
    bench_of(tmp_path, negative, (f'{trigger}"none"', f'{trigger}"isolator"'))


@pytest.mark.parametrize(("driver", "told"), [(K2450, 1), (N6705C, 0)])
def test_a_source_that_nothing_is_known_to_switch_off_in_a_hang_is_told(driver: Any, told: int) -> None:
    tool = SimpleNamespace(driver=SimpleNamespace(off_assurance=driver.off_assurance), spec=SimpleNamespace(name="smu", driver="a driver"))
    found = unassured(SimpleNamespace(source=tool))  # type: ignore[arg-type]  # all it looks at
    assert [text for text in found if "smu (a driver): stay with the bench" in text] == list(found)
    assert len(found) == told


@pytest.mark.compiler
def test_check_and_run_tell_that_a_real_port_cannot_float(tmp_path: Path) -> None:
    with bench_apart(tmp_path) as bench:
        assert "the adapter's TX cannot be floated" in labd("check", bench.file, "--store", tmp_path / "store").out
        plan = write_plan(tmp_path / "plan.toml", floor_time="200 ms")
        assert labd("run", bench.file, plan, "--store", tmp_path / "store", "--quiet").code == 0
    row, _ = stored(tmp_path / "store")
    with Catalogue.open_read_only(tmp_path / "store") as catalogue:
        assert any("the adapter's TX cannot be floated" in event.text for event in catalogue.runs.events(row.id))
