"""The link to a board as bench and board file describe it: its dialect, and an interface board between."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd import bench_file, resources
from labd.bench_file import Bench
from labd.daemon.board_gpio import Firing
from labd.daemon.opened import BoardLink
from labd.dut.errors import OtherDevice
from labd.errors import FileError
from tests.cli.bench_apart import changed
from tests.dut.other_dialects import SWW, InterfaceBoardDouble, StreamingFirmware
from tests.dut.stock_dut import StockDut
from tests.dut.stock_firmware import StockFirmware, scores

DATA = bytes((5 * k) % 256 for k in range(SWW.input_size))


def bench_with(folder: Path, link: str, *, dialect: str = "mlperf-tiny", trigger: str = "") -> Bench:
    """The bench of real instruments that `labd init` writes, with these lines in its link."""
    fixtures = resources.path("fixtures")
    board = changed((fixtures / "boards/my-board.toml").read_text(), 'dialect = "mlperf-tiny"', f'dialect = "{dialect}"')
    (folder / "board.toml").write_text(board)
    text = (fixtures / "benches/n6705c.toml").read_text()
    text = changed(text, "../boards/my-board.toml", str(folder / "board.toml"))
    text = changed(text, "[links.uart]", f"[links.uart]\n{link}")
    if trigger:
        text = (
            changed(text, 'isolation = "none"                                # none | level', 'isolation = "isolator" # none | level')
            + f"\n[trigger]\n{trigger}\n"
        )
    (folder / "bench.toml").write_text(text)
    return bench_file.load_bench(folder / "bench.toml")


async def test_a_board_behind_an_interface_board_is_reached_at_its_own_rate(tmp_path: Path) -> None:
    double = InterfaceBoardDouble(StreamingFirmware(), dut_baud=115200)
    bench = bench_with(tmp_path, 'via = "interface-board"\ndut_baud = 115200', dialect="mlperf-tiny-streaming")
    with StockDut(double) as dut:
        for resets in (1, 1):  # another session finds the rate set already
            board = BoardLink(dut.port, bench)
            line = board.line()
            await line.connect()
            assert board.device.identity.model == "sww01"
            await board.device.load_input(DATA)
            assert list((await board.device.infer(1)).results) == [round(value, 3) for value in scores(DATA, 3)]
            await line.disconnect()
            assert double.resets == resets


@pytest.mark.parametrize(
    ("trigger", "levels"), [("", (True, True)), ('by = "rts"', (True, False)), ('by = "dtr"\nasserted = false', (True, True))]
)
async def test_a_line_that_fires_is_not_active_before(tmp_path: Path, trigger: str, levels: tuple[bool, bool]) -> None:
    bench = bench_with(tmp_path, "", trigger=trigger)
    firing = Firing(bench, {})
    with StockDut(StockFirmware()) as dut:
        line = BoardLink(dut.port, bench, firing).line()
        await line.connect()
        assert firing.link is not None
        assert (firing.link.settings.dtr, firing.link.settings.rts) == levels
        await line.disconnect()


async def test_a_link_without_the_board_that_the_file_tells_of_is_refused(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, 'via = "interface-board"')
    with StockDut(StockFirmware()) as dut, pytest.raises(OtherDevice, match="is answered by 'm-name-dut"):
        await BoardLink(dut.port, bench).line().connect()


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("dut_baud = 9600", 'links.uart.dut_baud: only an interface board has this rate: write via = "interface-board"'),
        ('via = "interface-board"\ndut_baud = 300', "links.uart.dut_baud: expected one of 9600, .*, got 300"),
        ('via = "iface"', "links.uart.via: expected"),
    ],
)
def test_a_wrong_key_of_the_link_is_named(tmp_path: Path, link: str, problem: str) -> None:
    with pytest.raises(FileError, match=problem):
        bench_with(tmp_path, link)


def test_a_virtual_board_has_no_interface_board(tmp_path: Path) -> None:
    fixtures = resources.path("fixtures")
    text = changed((fixtures / "benches/demo.toml").read_text(), "../boards/virtual-m4.toml", str(fixtures / "boards/virtual-m4.toml"))
    (tmp_path / "bench.toml").write_text(changed(text, "[links.uart]", '[links.uart]\nvia = "interface-board"'))
    with pytest.raises(FileError, match=r'links\.uart\.via: expected "direct"'):
        bench_file.load_bench(tmp_path / "bench.toml")
