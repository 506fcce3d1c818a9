"""The digits as a data set of `labd accuracy`, their cards, and the builders as a search calls them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from digit_nets.building import SAMPLES
from digit_nets.digits import digits, write_dataset
from labd import resources
from labd.accuracy.dataset import read_dataset, read_inputs
from labd.cards.disclosure import untold
from labd.cards.kinds import DatasetCard, ModelCard
from labd.cards.read import card_from, stored
from labd.search.builders import Builder, Candidate, build
from labd.search.contract import TargetBoard
from labd.search.errors import BuilderCrashed, CandidateRefused
from tests.firmware.deployed import board_with
from tests.firmware.test_extension_commands import stat

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = resources.path("fixtures")
NETS = ROOT / "firmware/nets"
CARDS = ["task.toml", "dataset.toml", "setup.toml", "hardware-virtual-mcu.toml", "hardware-virtual-event.toml"]
QUANTISED = {"filters": "none", "dense": 8, "bits": 8}
SPIKING = {"hidden": 16, "coding": "latency", "steps": 4, "bits": 4, "thrift": 0}


@pytest.mark.parametrize("name", CARDS)
def test_every_card_of_the_digits_is_valid(name: str) -> None:
    card_from((FIXTURES / "cards/digits" / name).read_text("utf-8"), name)


def test_the_data_set_is_what_its_card_says(tmp_path: Path) -> None:
    command = [sys.executable, str(NETS / "write_dataset.py"), str(tmp_path / "digits")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    dataset = read_dataset(tmp_path / "digits")
    card = card_from((FIXTURES / "cards/digits/dataset.toml").read_text("utf-8"), "dataset")
    assert isinstance(card, DatasetCard)
    assert (card.samples, card.content_sha256) == (len(dataset.samples), dataset.sha256)
    assert (dataset.classes, dataset.input_size) == (10, 64)


def test_no_sample_is_trained_and_tested_with(tmp_path: Path) -> None:
    training, testing = digits()
    assert len(training.labels) + len(testing.labels) == 1797
    assert not {row.tobytes() for row in training.inputs} & {row.tobytes() for row in testing.inputs}
    write_dataset(tmp_path, testing)
    dataset = read_dataset(tmp_path)
    assert [sample.label for sample in dataset.samples] == testing.labels.tolist()
    assert read_inputs(dataset, dataset.samples[7]) == [bytes(testing.inputs[7].astype("u1"))]


async def built(name: str, parameters: dict[str, Any], tmp_path: Path, *, kind: str = "host", clock_hz: float = 24e6) -> Candidate:
    builder = Builder(("python3", f"build_{name}.py"), NETS, (Path("../core"), Path("../host")))
    board = TargetBoard(name="virtual-event", kind=kind, clock_hz=clock_hz, supply_v=1.8)
    return await build(builder, parameters, board, cache=tmp_path / "cache")


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("name", "parameters", "model"), [("quantised", QUANTISED, "digits-c0-d8-w8"), ("spiking", SPIKING, "digits-latency-h16-t4-w4")]
)
async def test_a_search_gets_a_program_that_runs_and_its_cards(name: str, parameters: dict[str, Any], model: str, tmp_path: Path) -> None:
    made = await built(name, parameters, tmp_path)
    assert made.model == model
    card = card_from(made.card, "card")
    assert isinstance(card, ModelCard)
    assert made.answer.size is not None
    assert card.footprint == made.answer.size.ram
    assert untold(stored(card)) == []
    program = made.file("program")
    assert program is not None
    with board_with(program) as board:
        assert f"m-model-[{model}]" in board.command("profile%")
        board.command("stat clear%")
        for sample in range(SAMPLES):  # the seed chooses the input
            board.command(f"workload {model} 10 {sample}%")
            board.command("infer 1 0%")
        counted = {what: count / SAMPLES for what, count in stat(board).items()}
    if name == "quantised":
        assert counted["mac"] == card.macs
    else:
        assert card.synops is not None
        assert counted["synop"] == pytest.approx(card.synops, rel=0.02)
    assert (await built(name, parameters, tmp_path)).cached


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        ("quantised", {"bits": 3}, "parameters.bits: expected one of 8, 4, 1, got 3"),
        ("quantised", {"dense": "8-x"}, 'expected up to three widths such as "16-32"'),
        ("quantised", {"widht": 3}, "parameters.widht: no such parameter; there are filters, dense, bits"),
        ("spiking", {"steps": 1}, "parameters.steps: expected a whole number from 2 to 64, got 1"),
        ("spiking", {"coding": "burst"}, "expected one of rate, latency, got 'burst'"),
        ("spiking", {"hidden": "none"}, "without one nothing spikes"),
    ],
)
async def test_parameters_that_a_builder_does_not_know_are_told(name: str, changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(BuilderCrashed) as caught:
        await built(name, {**(QUANTISED if name == "quantised" else SPIKING), **changed}, tmp_path)
    assert said in str(caught.value)


async def test_more_neurons_than_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CandidateRefused, match="a layer of 300 spiking neurons: the firmware has addresses for 256"):
        await built("spiking", {**SPIKING, "hidden": 300}, tmp_path)


async def test_a_clock_that_a_board_s_firmware_does_not_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CandidateRefused, match="the firmware of nrf52840dk runs at 64 MHz, and is asked to run at 32 MHz"):
        await built("quantised", QUANTISED, tmp_path, kind="nrf52840dk", clock_hz=32e6)


@pytest.mark.compiler
@pytest.mark.emulator
async def test_a_real_board_gets_an_image_with_its_linker_s_sizes(tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("no arm-none-eabi-gcc: install gcc-arm-none-eabi")
    made = await built("quantised", QUANTISED, tmp_path, kind="nrf52840dk", clock_hz=64e6)
    image, size = made.file("image"), made.answer.size
    assert image is not None
    assert image.suffix == ".elf"
    assert size is not None
    assert size.of == "image"
    assert 4096 < size.flash < 65536
    assert 4096 < size.ram < 32768
