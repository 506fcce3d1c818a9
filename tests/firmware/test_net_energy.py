"""What a deployed net costs on the virtual boards follows from its counted work: more for larger nets, less for sparser ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from digit_nets.layers import Net
from labd import resources
from labd.bench_file import load_bench, virtual
from labd_virtual.engine import Operation, cycles_of
from labd_virtual.expected import Taken, expected
from labd_virtual.firmware_process import Op, Request
from labd_virtual.load import Phase
from labd_virtual.spec import BoardSpec, read_fields
from tests.firmware.deployed import board_with, compiled, random_quantised, random_spiking
from tests.firmware.fake_board import OPERATE, SPEND
from tests.firmware.test_mlperf_protocol import upload

pytestmark = pytest.mark.compiler


def board_of(name: str) -> BoardSpec:
    return read_fields(BoardSpec, virtual.spec(load_bench(resources.path("fixtures") / f"benches/{name}.toml"))["board"], "board")


def taken(cc: str, net: Net, board: BoardSpec, supply_v: float, folder: Path, *, level: int = 12) -> Taken:
    """One inference on an image of one level, by what the firmware asks the board for."""
    size = 29 if net.spiking else 35
    pixels = np.full((1, size), level, dtype=np.int64)
    with board_with(compiled(cc, net, pixels, folder / net.name)) as running:
        running.engine = frozenset(operation for operation in Operation if cycles_of(board.engine, operation, 8))
        upload(running, bytes([level]) * size)
        running.command("infer 1 0%")
        asked = [Request(Op(op.op), op.a, op.b, op.c) for op in running.ops if op.op in {SPEND, OPERATE}]
    return expected(board, asked, supply_v)[Phase.INFER]


def test_narrower_weights_cost_less_where_an_engine_fetches_them(cc: str, tmp_path: Path) -> None:
    board = board_of("virtual-mcu")
    costs = [taken(cc, random_quantised(f"q{bits}", (bits,) * 4, seed=1), board, 3.0, tmp_path) for bits in (8, 4)]
    assert costs[0].energy_j > costs[1].energy_j > 0
    assert costs[0].time_s > costs[1].time_s


def test_a_net_of_products_costs_more_on_the_accelerator_and_a_spiking_one_less(cc: str, tmp_path: Path) -> None:
    mcu, event = board_of("virtual-mcu"), board_of("virtual-event")
    products = random_quantised("products", (8, 8, 8, 8), seed=1)
    spikes = random_spiking("spikes", "rate", (8, 8, 8), steps=16, leak_shift=4, seed=1)
    on = {
        (net.name, name): taken(cc, net, board, supply_v, tmp_path / name).energy_j
        for net in (products, spikes)
        for name, board, supply_v in (("mcu", mcu, 3.0), ("event", event, 1.8))
    }
    assert on["spikes", "event"] < 0.1 * on["spikes", "mcu"]
    assert on["products", "event"] / on["products", "mcu"] > 5 * on["spikes", "event"] / on["spikes", "mcu"]


def test_an_input_with_fewer_spikes_costs_less(cc: str, tmp_path: Path) -> None:
    """Coding looks at every input in every step, whatever it holds: some of it is left where nothing spikes."""
    board = board_of("virtual-event")
    net = random_spiking("spikes", "rate", (8, 8, 8), steps=16, leak_shift=4, seed=1)
    costs = [taken(cc, net, board, 1.8, tmp_path / str(level), level=level).energy_j for level in (0, 2, 12)]
    assert costs[0] < costs[1] < costs[2]
    longer = random_spiking("longer", "rate", (8, 8, 8), steps=32, leak_shift=4, seed=1)
    assert taken(cc, longer, board, 1.8, tmp_path).energy_j > 1.7 * costs[2]
