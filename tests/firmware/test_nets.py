"""Deployed nets in the firmware: bit for bit what numpy computes, of every kind, precision and size; and what trained ones are worth."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from digit_nets import quantised, spiking
from digit_nets.building import typical
from digit_nets.digits import digits
from digit_nets.image import blob, memory, packed, write_image
from digit_nets.layers import Ints, Net, rescaled
from digit_nets.reference import accuracy, infer
from tests.firmware.conftest import FIRMWARE
from tests.firmware.deployed import board_with, compiled, random_quantised, random_spiking, told, wanted
from tests.firmware.test_builds import STRICT
from tests.firmware.test_mlperf_protocol import upload

pytestmark = pytest.mark.compiler

QUANTISED = [
    random_quantised("q888", (8, 8, 8, 8), seed=1),
    random_quantised("q444", (4, 4, 4, 4), seed=2),
    random_quantised("q111", (1, 1, 1, 8), seed=3),
    random_quantised("q841", (8, 4, 1, 4), seed=4),
]
SPIKING = [
    random_spiking("s-rate-8", "rate", (8, 8, 8), steps=16, leak_shift=4, seed=1),
    random_spiking("s-rate-4", "rate", (4, 4, 4), steps=11, leak_shift=2, seed=2),
    random_spiking("s-latency-8", "latency", (8, 8, 8), steps=7, leak_shift=3, seed=3),
    random_spiking("s-latency-1", "latency", (1, 1, 8), steps=20, leak_shift=1, seed=4),
]


def inputs_of(net: Net) -> Ints:
    """Random ones, and the ends of the range."""
    rng = np.random.default_rng(7)
    size = 29 if net.spiking else 35
    low, high = (0, 17) if net.spiking else (-128, 128)
    ends = np.array([np.zeros(size), np.full(size, high - 1), np.full(size, low)], dtype=np.int64)
    return np.concatenate([rng.integers(low, high, (6, size)), ends])


@pytest.mark.parametrize("net", [*QUANTISED, *SPIKING], ids=lambda net: net.name)
def test_a_net_gives_the_bits_that_numpy_computes(cc: str, tmp_path: Path, net: Net) -> None:
    inputs = inputs_of(net)
    with board_with(compiled(cc, net, inputs[:2], tmp_path)) as board:
        for pixels in inputs:
            upload(board, pixels.astype(np.int8).tobytes())
            assert told(board) == wanted(net, pixels)
    found = infer(net, inputs)
    assert len({tuple(row) for row in found.logits.tolist()}) > 5, "a net whose outputs do not depend on its input tests nothing"
    if net.spiking:
        assert min(int(train.sum()) for train in found.outputs) > 20, "nothing spikes"
    else:
        assert all((layer > 0).any() and (layer < 127).any() for layer in found.outputs)


def test_an_image_holds_its_net_alone_and_says_which(cc: str, tmp_path: Path) -> None:
    net = QUANTISED[0]
    inputs = inputs_of(net)
    with board_with(compiled(cc, net, inputs[:3], tmp_path)) as board:
        assert "m-model-[q888]" in board.command("profile%")
        assert board.command("workload dnn 10 1%").startswith("e-[Unknown workload: dnn]")
        for seed in range(5):
            assert board.command(f"workload q888 10 {seed}%").startswith(f"m-workload-[q888 10 {seed}]")
            assert told(board) == wanted(net, inputs[seed % 3])
        assert board.lines("db load 250%")[0].startswith("m-[Expecting")
        assert len(board.lines("results%")[0].split(",")) == 6


def test_an_input_of_another_size_is_told_and_not_taken(cc: str, tmp_path: Path) -> None:
    net = QUANTISED[0]
    with board_with(compiled(cc, net, inputs_of(net)[:1], tmp_path)) as board:
        upload(board, bytes(34))
        assert "Input db has 34 elemented, expected 35" in board.command("infer 1 0%")


def test_a_model_that_was_dropped_is_loaded_again(cc: str, tmp_path: Path) -> None:
    net = SPIKING[0]
    with board_with(compiled(cc, net, inputs_of(net)[:1], tmp_path)) as board:
        board.command("mode event_reload%")
        board.command("periodic 2 100000%")
        kept = board.command("checksum%")
        board.command("mode always_on%")
        board.command("infer 1 0%")
        assert board.command("checksum%") == kept


@pytest.mark.parametrize("net", [QUANTISED[0], SPIKING[0]], ids=lambda net: net.name)
def test_the_core_with_a_net_is_plain_c99_without_a_warning(cc: str, tmp_path: Path, net: Net) -> None:
    write_image(net, inputs_of(net)[:1], tmp_path)
    for source in [*sorted((FIRMWARE / "core").glob("*.c")), tmp_path / "net_image.c"]:
        words = [cc, "-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", *STRICT, "-DLABD_NET=1", "-I", str(FIRMWARE / "core")]
        command = [*words, "-I", str(tmp_path), "-c", str(source), "-o", str(tmp_path / "object.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("shape", "least", "macs"),
    [
        (quantised.Shape((), (16,), 8), 0.90, 64 * 16 + 16 * 10),
        (quantised.Shape((), (32,), 4), 0.93, 64 * 32 + 32 * 10),
        (quantised.Shape((), (32,), 1), 0.88, 64 * 32 + 32 * 10),
        (quantised.Shape((8, 16), (), 8), 0.95, 21_920),
    ],
    ids=["d16-8", "d32-4", "d32-1", "c8-16-8"],
)
def test_a_trained_net_is_worth_what_its_size_lets_hope(shape: quantised.Shape, least: float, macs: int) -> None:
    training, testing = digits()
    net = quantised.train("net", shape, training)
    assert accuracy(net, testing.inputs, testing.labels) >= least
    assert infer(net, testing.inputs[:1]).work["mac"].tolist() == [macs]


def test_rate_coding_is_better_and_latency_coding_sparser() -> None:
    training, testing = digits()
    found = {}
    for coding in ("rate", "latency"):
        net = spiking.train("net", spiking.Shape((32,), coding, 8, 8), training)
        found[coding] = accuracy(net, testing.inputs, testing.labels), infer(net, testing.inputs).work["synop"].mean()
    assert found["rate"][0] >= 0.93
    assert 0.85 <= found["latency"][0] < found["rate"][0]
    assert 1.2 * found["latency"][1] < found["rate"][1]


def test_thrift_makes_a_net_spike_less() -> None:
    training, testing = digits()
    free, thrifty = (spiking.train("net", spiking.Shape((32,), "rate", 8, 8, thrift), training) for thrift in (0.0, 0.01))
    spikes = [infer(net, testing.inputs).work["spike"].mean() for net in (free, thrifty)]
    assert spikes[1] < 0.7 * spikes[0]
    assert accuracy(thrifty, testing.inputs, testing.labels) > 0.85


def test_training_twice_gives_the_same_bits() -> None:
    training, _ = digits()
    shape = quantised.Shape((), (8,), 4)
    assert blob(quantised.train("net", shape, training)) == blob(quantised.train("net", shape, training))


def test_a_trained_net_runs_in_the_firmware_as_in_numpy(cc: str, tmp_path: Path) -> None:
    training, testing = digits()
    net = spiking.train("digits", spiking.Shape((24,), "latency", 8, 4), training)
    samples = typical(testing.inputs, infer(net, testing.inputs))
    with board_with(compiled(cc, net, samples, tmp_path)) as board:
        for seed in (0, 1, 17):
            board.command(f"workload digits 10 {seed}%")
            assert told(board) == wanted(net, samples[seed % len(samples)])
        for pixels in testing.inputs[:20]:
            upload(board, pixels.astype(np.int8).tobytes())
            assert told(board) == wanted(net, pixels)


def test_the_work_of_the_inputs_in_an_image_is_spread_as_that_of_all() -> None:
    _, testing = digits()
    net = random_spiking("s", "rate", (8, 8, 8), steps=8, leak_shift=4, seed=1)
    inputs = testing.inputs[:, :29]
    outcome = infer(net, inputs)
    samples = typical(inputs, outcome)
    chosen, every = infer(net, samples).work["synop"], outcome.work["synop"]
    assert len(chosen) == 16
    assert len(np.unique(samples, axis=0)) == 16
    assert chosen.mean() == pytest.approx(every.mean(), rel=0.02)
    assert chosen.std() == pytest.approx(every.std(), rel=0.15)
    assert every.std() > 0.1 * every.mean()
    for share in (0.05, 0.5, 0.95):
        assert np.quantile(chosen, share) == pytest.approx(np.quantile(every, share), rel=0.05)


def test_weights_are_packed_without_gaps() -> None:
    assert packed(np.array([1, -1, 127, -127]), 8) == bytes([1, 255, 127, 129])
    assert packed(np.array([1, -2, 7]), 4) == bytes([0xE1, 0x07])
    assert packed(np.array([1, -1, -1, 1, 1, -1, 1, -1, 1]), 1) == bytes([0b01011001, 1])


def test_narrower_weights_take_less_memory() -> None:
    sizes = [memory(random_quantised("q", (bits, bits, bits, bits), seed=1))[0] for bits in (8, 4, 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1.6 * sizes[1]


@pytest.mark.parametrize("factor", [3e-5, 0.01, 0.5, 0.999, 1.0, 3.7, 1e-8])
def test_an_activation_is_scaled_to_15_bits(factor: float) -> None:
    multiplier, shift = rescaled(factor)
    assert multiplier < 2**16
    assert multiplier / 2**shift == pytest.approx(factor, rel=2**-14)
