"""Both nets, bit for bit, against an independent numpy reference."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.firmware.conftest import Dut
from tests.firmware.fake_board import FakeBoard
from tests.firmware.test_extension_commands import stat
from tests.firmware.test_mlperf_protocol import upload

pytestmark = pytest.mark.compiler

Ints = NDArray[np.int64]
FRAMES, BANDS, CLASSES = 25, 10, 12
WORD = 0xFFFF_FFFF


def finalise(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Murmur3's 32-bit finaliser, in 64 bits so that nothing wraps unseen."""
    z = (z ^ (z >> np.uint64(16))) * np.uint64(0x85EBCA6B) & np.uint64(WORD)
    z = (z ^ (z >> np.uint64(13))) * np.uint64(0xC2B2AE35) & np.uint64(WORD)
    return z ^ (z >> np.uint64(16))


def draws(seed: int, count: int) -> Ints:
    start = finalise(np.array([seed], dtype=np.uint64))
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B9)
    return finalise((start + steps) & np.uint64(WORD)).astype(np.int64)


def signed(drawn: Ints, bits: int) -> Ints:
    values: Ints = (drawn >> (32 - bits)) - 2 ** (bits - 1)
    return values


def generated_input(activity: int, seed: int) -> Ints:
    stream = iter(draws(seed, 3 * FRAMES * BANDS))
    frames = np.zeros((FRAMES, BANDS), dtype=np.int64)
    level = [0] * BANDS
    for frame in frames:
        for band in range(BANDS):
            if next(stream) % 100 < activity:
                size, sign = 8 + int(next(stream) % 17), 1 - 2 * int(next(stream) & 1)
                moved = level[band] + sign * size
                level[band] = moved if abs(moved) <= 100 else level[band] - sign * size
            frame[band] = level[band]
    return frames


def checksum(words: Ints) -> int:
    total = 0x811C9DC5
    for word in words.tolist():
        total ^= word & WORD
        total = (total << 5 | total >> 27) & WORD
        total = total * 0x9E3779B1 & WORD
    return total


def little_endian_words(layer: Ints) -> Ints:
    return np.frombuffer(layer.astype(np.int8).tobytes(), dtype="<u4").astype(np.int64)


def activation(total: Ints, shift: int) -> Ints:
    values: Ints = np.clip((np.maximum(total, 0) + (1 << (shift - 1))) >> shift, 0, 127)
    return values


def filter_3x3(image: Ints, taps: Ints, bias: Ints, stride: int) -> tuple[Ints, int]:
    """Padding 1; one input channel is broadcast. Also the number of taps that fell inside."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    inside = np.pad(np.ones_like(image), ((1, 1), (1, 1), (0, 0)))
    rows, columns = (image.shape[0] + stride - 1) // stride, (image.shape[1] + stride - 1) // stride
    total = np.zeros((rows, columns, len(bias)), dtype=np.int64) + bias
    macs = 0
    for y in range(3):
        for x in range(3):
            at = np.s_[y : y + stride * rows : stride, x : x + stride * columns : stride]
            total += padded[at] * taps[:, 3 * y + x]
            macs += int(np.broadcast_to(inside[at], total.shape).sum())
    return activation(total, 7), macs


def reference_dnn(frames: Ints) -> tuple[int, Ints, dict[str, int]]:
    sizes = [16 * 9, 16 * 9, 32 * 16, 32 * 9, 32 * 32, 12 * 32]
    drawn = draws(0x0D28, sum(sizes) + 140)
    w = np.split(signed(drawn[: sum(sizes)], 8), np.cumsum(sizes)[:-1])
    b = np.split(signed(drawn[sum(sizes) :], 11), np.cumsum([16, 16, 32, 32, 32]))
    a1, m1 = filter_3x3(frames[:, :, None], w[0].reshape(16, 9), b[0], 2)
    a2, m2 = filter_3x3(a1, w[1].reshape(16, 9), b[1], 1)
    a3 = activation(a2 @ w[2].reshape(32, 16).T + b[2], 8)
    a4, m4 = filter_3x3(a3, w[3].reshape(32, 9), b[3], 1)
    a5 = activation(a4 @ w[4].reshape(32, 32).T + b[4], 9)
    a6 = a5.sum(axis=(0, 1)) // 65
    logits = w[5].reshape(12, 32) @ a6 + b[5]
    macs = m1 + m2 + 65 * 16 * 32 + m4 + 65 * 32 * 32 + 32 * 12
    words = np.concatenate([*(little_endian_words(layer) for layer in (a1, a2, a3, a4, a5, a6)), logits])
    return checksum(words), scores(logits, 11), {"mac": macs, "synop": 0, "spike": 0, "neuron_update": 0}


def reference_snn(frames: Ints) -> tuple[int, Ints, dict[str, int]]:
    """Eager: every neuron leaks in every frame; the firmware leaks lazily and must give the same bits."""
    shapes = [(20, 128), (128, 64), (64, 12)]
    sizes = [rows * columns for rows, columns in shapes]
    flat = np.split(signed(draws(0x5E06, sum(sizes)), 7), np.cumsum(sizes)[:-1])
    weights = [part.reshape(shape) for part, shape in zip(flat, shapes, strict=True)]
    potential = [np.zeros(columns, dtype=np.int64) for _, columns in shapes]
    words: list[int] = []
    counts = np.zeros(CLASSES, dtype=np.int64)
    work = {"mac": 0, "synop": 0, "spike": 0, "neuron_update": 0}
    change = np.diff(frames, axis=0, prepend=np.zeros((1, BANDS), dtype=np.int64))
    for delta in change:
        events = np.concatenate([delta > 0, delta < 0])
        for layer, threshold in enumerate([32, 90, 90]):
            v = potential[layer]
            v -= v >> 4
            v += events.astype(np.int64) @ weights[layer]
            work["synop"] += int(events.sum()) * len(v)
            work["neuron_update"] += len(v) if events.any() else 0
            events = v >= threshold
            v[events] = 0
            np.maximum(v, -256, out=v)
            work["spike"] += int(events.sum())
            padded = np.zeros(-(-len(v) // 32) * 32, dtype=np.int64)
            padded[: len(v)] = events
            words += [int((group << np.arange(32)).sum()) for group in padded.reshape(-1, 32)]
        counts += events
    return checksum(np.array(words)), scores(counts, 1), work


def scores(logits: Ints, shift: int) -> Ints:
    halvings, rest = np.divmod(logits.max() - logits, 2**shift)
    power = 2 ** (16 - np.minimum(halvings, 16))
    shares = np.where(halvings > 16, 0, power - (power // 2 * rest // 2**shift))
    values: Ints = shares * 1000 // shares.sum()
    return values


REFERENCES = {"dnn": reference_dnn, "snn": reference_snn}


def outcome(board: Dut) -> tuple[int, list[int], dict[str, int]]:
    """Checksum, scores in thousandths and counters of one inference."""
    board.command("stat clear%")
    result = board.lines("infer 1 0%")[-1]
    (line,) = board.lines("checksum%")
    printed = [round(1000 * float(part)) for part in result.removeprefix("m-results-[").removesuffix("]").split(",")]
    counted = {name: value for name, value in stat(board).items() if name in {"mac", "synop", "spike", "neuron_update"}}
    return int(line.removeprefix("m-checksum-[").removesuffix("]"), 16), printed, counted


@pytest.mark.parametrize("workload", ["dnn", "snn"])
def test_generated_inputs_give_the_bits_of_the_reference(dut: Dut, workload: str) -> None:
    for activity, seed in [(0, 1), (1, 7), (5, 1), (10, 1), (10, 2), (25, 3), (50, 4), (75, 0), (100, 0xFFFFFFFF)]:
        dut.command(f"workload {workload} {activity} {seed}%")
        total, points, work = REFERENCES[workload](generated_input(activity, seed))
        assert outcome(dut) == (total, points.tolist(), work), (activity, seed)


@pytest.mark.parametrize("workload", ["dnn", "snn"])
def test_uploaded_inputs_of_the_whole_range_give_the_bits_of_the_reference(dut: Dut, workload: str) -> None:
    dut.command(f"workload {workload} 0 0%")
    for seed in range(3):
        frames = signed(draws(seed, FRAMES * BANDS), 8).reshape(FRAMES, BANDS)
        upload(dut, frames.astype(np.int8).tobytes(), chunk=38)
        total, points, work = REFERENCES[workload](frames)
        assert outcome(dut) == (total, points.tolist(), work), seed


def test_the_convolutional_net_is_131600_macs(dut: Dut) -> None:
    assert outcome(dut)[2]["mac"] == 131_600


def test_spiking_work_grows_with_activity_and_is_none_without(performance: FakeBoard) -> None:
    synops = []
    for activity in (0, 5, 10, 20, 50, 100):
        performance.command(f"workload snn {activity} 1%")
        synops.append(outcome(performance)[2]["synop"])
    assert synops[0] == 0
    assert synops == sorted(synops)
    assert 15_000 <= synops[2] <= 35_000


@pytest.mark.parametrize("workload", ["dnn", "snn"])
def test_choosing_a_workload_returns_from_an_upload_to_the_generated_input(dut: Dut, workload: str) -> None:
    dut.command(f"workload {workload} 10 1%")
    generated = outcome(dut)
    upload(dut, bytes(range(250)))
    assert outcome(dut) != generated
    dut.command(f"workload {workload} 10 1%")
    assert outcome(dut) == generated


def test_the_same_input_gives_the_same_class_every_time(performance: FakeBoard) -> None:
    performance.command("workload snn 30 4%")
    assert len({performance.lines("infer 1 0%")[-1] for _ in range(3)}) == 1


def test_different_seeds_lead_to_different_classes(performance: FakeBoard) -> None:
    for workload in ("dnn", "snn"):
        classes = set()
        for seed in range(12):
            performance.command(f"workload {workload} 40 {seed}%")
            classes.add(int(np.argmax(outcome(performance)[1])))
        assert len(classes) >= 2, workload
