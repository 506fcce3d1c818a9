"""A deployed net compiled into the firmware and running on a fake board, and what numpy says that it gives."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from digit_nets.image import write_image
from digit_nets.layers import Ints, Layer, Net, largest_weight, rescaled
from digit_nets.reference import infer
from tests.firmware.conftest import FIRMWARE, FLAGS, SANITIZE, start, stop
from tests.firmware.fake_board import FakeBoard
from tests.firmware.test_workloads import checksum, little_endian_words, outcome, scores

Told = tuple[int, list[int], dict[str, int]]


def compiled(cc: str, net: Net, samples: Ints, folder: Path, *flags: str) -> Path:
    """The host build with this net, under sanitizers."""
    folder.mkdir(parents=True, exist_ok=True)
    write_image(net, samples, folder)
    sources = [*sorted((FIRMWARE / "core").glob("*.c")), *sorted((FIRMWARE / "host").glob("*.c")), folder / "net_image.c"]
    words = [cc, *FLAGS, *SANITIZE, *flags, "-DLABD_NET=1", "-I", str(FIRMWARE / "core"), "-I", str(folder), *map(str, sources)]
    done = subprocess.run([*words, "-o", str(folder / "program")], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "program"


@contextmanager
def board_with(program: Path) -> Iterator[FakeBoard]:
    """Booted; in the end it has to stop quietly when its supply goes."""
    running = start(program)
    try:
        running.board.run()
        yield running.board
    finally:
        ended = stop(running)
    assert ended == (0, "")


def wanted(net: Net, inputs: Ints) -> Told:
    """Checksum of all layers, scores in thousandths and counters of one inference. inputs: [input]."""
    found = infer(net, inputs[np.newaxis])
    work = {name: int(count[0]) for name, count in found.work.items()}
    logits = found.logits[0]
    return checksum(np.concatenate([*_words(net, found.outputs), logits])), scores(logits, net.score_shift).tolist(), work


def _words(net: Net, outputs: tuple[Ints, ...]) -> list[Ints]:
    if not net.spiking:
        whole = [layer[0][: len(layer[0]) // 4 * 4] for layer in outputs[:-1]]
        return [little_endian_words(layer) for layer in whole]
    steps = []
    for step in range(net.steps):
        for train in outputs:
            spikes = train[0, step]
            padded = np.zeros(-(-len(spikes) // 32) * 32, dtype=np.int64)
            padded[: len(spikes)] = spikes
            steps.append((padded.reshape(-1, 32) << np.arange(32)).sum(axis=1))
    return steps


def told(board: FakeBoard) -> Told:
    """The same by the firmware."""
    return outcome(board)


def random_layer(rng: np.random.Generator, shape: tuple[int, ...], bits: int, **more: int) -> Layer:
    """Of any weights; its activations fill their range."""
    top = largest_weight(bits)
    weights = rng.integers(-top, top + 1, shape) if bits > 1 else rng.choice([-1, 1], shape)
    fan_in = int(np.prod(shape[1:]))
    multiplier, shift = rescaled(1.5 / (top * np.sqrt(fan_in)))
    spread = int(30 * top * np.sqrt(fan_in))
    return Layer(weights.astype(np.int64), rng.integers(-spread, spread, shape[0]), bits, multiplier, shift, **more)


def random_quantised(name: str, bits: tuple[int, int, int, int], *, seed: int) -> Net:
    """Two filters on 7 x 5 pixels and two dense layers; odd sizes, so that nothing falls on whole bytes."""
    rng = np.random.default_rng(seed)
    layers = (
        random_layer(rng, (5, 9, 1), bits[0], rows=7, columns=5),
        random_layer(rng, (7, 9, 5), bits[1], rows=7, columns=5, stride=2),
        random_layer(rng, (11, 84), bits[2]),
        random_layer(rng, (6, 11), bits[3]),
    )
    return Net(name, "quantised", layers, 127, score_shift=8)


def random_spiking(name: str, kind: str, bits: tuple[int, int, int], *, steps: int, leak_shift: int, seed: int) -> Net:
    """Thresholds low enough that all layers spike."""
    rng = np.random.default_rng(seed)
    none = np.zeros(0, dtype=np.int64)
    layers = []
    for shape, of in zip([(29, 37), (37, 45), (45, 6)], bits, strict=True):
        top = largest_weight(of)
        weights = rng.integers(-top, top + 1, shape) if of > 1 else rng.choice([-1, 1], shape)
        layers.append(Layer(weights.astype(np.int64), none, of, threshold=max(1, int(1.5 * top))))
    assert kind in {"rate", "latency"}
    return Net(name, kind, tuple(layers), 16, steps, leak_shift, 3)  # type: ignore[arg-type]
