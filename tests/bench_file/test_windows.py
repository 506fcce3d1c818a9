"""Plans of boards with stock firmware: the `[windows]` table and what it has to fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.bench_file import check_plan, load_bench, load_plan, plan_of
from labd.bench_file import station as translate
from labd.errors import FileError
from tests.bench.whole_run import FIXTURES, changed, replaced

COUNT = "count = 3 "


def problem(folder: Path, *pairs: tuple[str, str], board: tuple[tuple[str, str], ...] = ()) -> str:
    """What is wrong with the (changed) files of a stock board."""
    bench = changed(folder, "benches", "virtual-stock", str)
    file = folder / "boards/virtual-stock.toml"
    file.write_text(replaced(*board)(file.read_text(encoding="utf-8")), encoding="utf-8")
    plan = changed(folder, "plans", "stock", replaced(*pairs))
    with pytest.raises(FileError) as caught:
        check_plan(load_bench(bench), load_plan(plan))
    (line,) = caught.value.problems
    return line.replace(f"{folder}/", "")


BAD = [
    ('length = "300 ms" ', "inferences = [20] #", "plans/stock.toml: windows.inferences: expected two different numbers or more"),
    ('length = "300 ms" ', "inferences = [20, 20] #", "windows.inferences: expected two different numbers or more"),
    ('length = "300 ms" ', "inferences = [20, 3000000000] #", "windows.inferences: expected at most 2000000000"),
    ("# inferences = [20, 40]", "inferences = [20, 40]", "windows.length: expected either length or inferences, got both"),
    (COUNT, "count = 1 ", "windows.count: expected 3 windows or more in all"),
    ('# input = "yes.bin"', 'input = "yes.bin"', "windows.input: "),
    ("seed = 1", 'seed = 1\nidle_kind = "wfi"', 'idle_kind: expected "busy_poll" or no such key: stock firmware polls its UART, got "wfi"'),
]


@pytest.mark.parametrize(("old", "new", "said"), BAD, ids=[new for _, new, _ in BAD])
def test_a_wrong_plan_for_stock_firmware_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in problem(tmp_path, (old, new))


def test_an_input_of_another_size_than_the_board_takes_is_told(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/yes.bin").write_bytes(bytes(40))
    found = problem(tmp_path, ('# input = "yes.bin"', 'input = "yes.bin"'))
    assert "plans/stock.toml: windows.input: expected a file of 250 bytes (boards/virtual-stock.toml: input_size), got 40" in found


def test_a_board_whose_input_nobody_gives_is_told(tmp_path: Path) -> None:
    found = problem(tmp_path, board=(("input_size = 250 ", "# "),))
    assert found.startswith("boards/virtual-stock.toml: input_size: this key is required: input_size = 490")


def test_a_table_of_windows_is_refused_for_labds_own_firmware(tmp_path: Path) -> None:
    plan = changed(tmp_path, "plans", "demo", lambda text: text + "\n[windows]\ncount = 5\n")
    with pytest.raises(FileError, match=r"windows: this table is of stock firmware; labd's own .* paces its inferences"):
        check_plan(load_bench(FIXTURES / "benches/demo.toml"), load_plan(plan))


def test_a_plan_that_was_sent_needs_the_whole_path_of_its_input(tmp_path: Path) -> None:
    text = (FIXTURES / "plans/stock.toml").read_text(encoding="utf-8").replace('# input = "yes.bin"', 'input = "yes.bin"')
    with pytest.raises(FileError, match=r"windows\.input: a plan that was sent to a daemon needs an absolute path, got 'yes\.bin'"):
        plan_of(text, tmp_path / "sent.toml")


def test_the_energy_rule_of_mlperf_tiny_is_five_windows_of_ten_seconds() -> None:
    bench, plan = load_bench(FIXTURES / "benches/virtual-stock.toml"), load_plan(FIXTURES / "plans/mlperf-tiny-energy.toml")
    found = translate.wanted(plan, bench.board)
    assert found.windows is not None
    assert (found.windows.count, found.windows.length_s, found.windows.inferences, found.windows.kinds) == (5, 10.0, (), 2)
    assert found.idle_kind == "busy_poll"
    assert translate.board_input(bench.board, plan)[0] == bytes(250)
