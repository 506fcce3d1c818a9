"""Every shipped bench, board and plan file, the templates, and the reference pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labd import resources
from labd.bench_file import check_drivers, check_options, check_plan, effective, effective_plan, load_bench, load_board, load_plan, virtual
from labd.bench_file.reference import pages
from labd.cli.init import TEMPLATES, write_templates
from labd.errors import FileError
from labd_instruments.loader import available

FIXTURES = resources.path("fixtures")
BENCHES = sorted((FIXTURES / "benches").glob("*.toml"))
BOARDS = sorted((FIXTURES / "boards").glob("*.toml"))
PLANS = sorted((FIXTURES / "plans").glob("*.toml"))
PAIRS = [
    ("demo", "demo"),
    ("virtual-2461", "demo"),
    ("virtual-cross-check", "demo"),
    ("emulated", "emulated"),
    ("n6705c", "first"),
    ("virtual-agent", "agent"),
    ("virtual-rp2040", "rp2040"),
    ("virtual-mcu", "virtual-mcu"),
    ("virtual-event", "virtual-event"),
    ("virtual-bare", "leakage"),
    ("virtual-stock", "stock"),
    ("virtual-stock", "mlperf-tiny-energy"),
    ("demo", "ulpmark-profile"),
]


@pytest.mark.parametrize("path", BENCHES, ids=lambda p: p.stem)
def test_every_shipped_bench_is_right_and_its_effective_form_is_json(path: Path) -> None:
    assert json.loads(json.dumps(effective(load_bench(path)), allow_nan=False))["bench"]["name"] == path.stem


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.stem)
def test_every_shipped_board_is_right(path: Path) -> None:
    assert load_board(path).name == path.stem


@pytest.mark.parametrize("path", PLANS, ids=lambda p: p.stem)
def test_every_shipped_plan_is_right_and_its_effective_form_is_json(path: Path) -> None:
    plan = json.loads(json.dumps(effective_plan(load_plan(path)), allow_nan=False))["plan"]
    assert plan["aim"] or plan["rates"][0] == {"value": 0.0, "unit": "/s"}


@pytest.mark.parametrize(("bench", "plan"), PAIRS)
def test_benches_can_do_their_plans(bench: str, plan: str) -> None:
    check_plan(load_bench(FIXTURES / "benches" / f"{bench}.toml"), load_plan(FIXTURES / "plans" / f"{plan}.toml"))


@pytest.mark.parametrize("path", BENCHES, ids=lambda p: p.stem)
def test_every_shipped_bench_names_drivers_and_options_that_exist(path: Path) -> None:
    bench, drivers = load_bench(path), available()
    check_drivers(bench, [driver.name for driver in drivers])
    check_options(bench, {driver.name: [option.name for option in driver.options] for driver in drivers})


def test_every_bench_is_paired_with_a_plan() -> None:
    assert {bench for bench, _ in PAIRS} == {path.stem for path in BENCHES}


def test_a_virtual_board_says_which_firmware_it_runs() -> None:
    emulated = virtual.spec(load_bench(FIXTURES / "benches" / "emulated.toml"))
    assert (emulated["firmware"]["target"], emulated["firmware"]["delay_s"]) == ("lm3s6965evb", 0.02)
    assert not [key for key in emulated["board"] if key.startswith("firmware")]
    own, stock = (virtual.spec(load_bench(FIXTURES / "benches" / f"{name}.toml"))["firmware"] for name in ("demo", "virtual-stock"))
    assert "target" not in own
    assert (own["stock"], stock["stock"], stock["energy_mode"]) == (False, True, True)


def test_the_demo_bench_is_what_it_says() -> None:
    bench = load_bench(FIXTURES / "benches" / "demo.toml")
    assert (bench.clock, bench.is_virtual, bench.source, bench.meter, bench.cross_check) == ("stepped", True, "smu", "smu", None)
    assert bench.limits.current == 0.15
    assert bench.limits.steady_current == pytest.approx(0.5 / 3.6)
    assert bench.board.decoupling.half_width == pytest.approx(0.47e-6)
    assert bench.text == (FIXTURES / "benches" / "demo.toml").read_text(encoding="utf-8")
    rows = bench.instruments["smu"].accuracy_rows()
    assert (rows[0].full_scale, rows[0].gain, rows[0].offset) == (10e-6, 0.00025, 8e-9)


@pytest.mark.parametrize(("name", "count"), [("benches", 4), ("boards", 4), ("plans", 5)])
def test_templates_that_a_user_gets_load_where_they_were_written(tmp_path: Path, name: str, count: int) -> None:
    load = {"benches": load_bench, "boards": load_board, "plans": load_plan}[name]
    written = [path for path in write_templates(tmp_path / "new") if path.parent.name == name]
    assert len(written) == count
    for path in written:
        load(path)


def test_templates_never_overwrite_unless_forced(tmp_path: Path) -> None:
    mine = tmp_path / TEMPLATES[1]
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(FileError, match=r"n6705c.toml: exists already .* --force"):
        write_templates(tmp_path)
    assert mine.read_text() == "mine"
    assert not (tmp_path / TEMPLATES[0]).exists()
    assert write_templates(tmp_path, force=True) == [tmp_path / name for name in TEMPLATES]
    assert mine.read_text() != "mine"


def test_a_folder_that_cannot_be_made_is_a_file_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        write_templates(tmp_path / "file")


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_reference_pages_are_current(name: str) -> None:
    folder = Path(__file__).parents[2] / "docs" / "reference"
    assert (folder / name).read_text(encoding="utf-8") == pages()[name], "run python -m labd.bench_file.reference"
