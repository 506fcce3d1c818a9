"""A net of integers as the two C files that make an image hold it: net_image.h and net_image.c."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from digit_nets.layers import Ints, Layer, Net

_KINDS = {"quantised": "LABD_NET_QUANTISED", "rate": "LABD_NET_RATE", "latency": "LABD_NET_LATENCY"}


def packed(weights: Ints, bits: int) -> bytes:
    """Without gaps, the first in the lowest bits; a binary weight is its sign."""
    flat = weights.reshape(-1)
    if bits == 1:
        return bytes(np.packbits(flat > 0, bitorder="little"))
    if bits == 4:
        halves = np.pad(flat & 15, (0, len(flat) % 2)).reshape(-1, 2)
        return bytes((halves[:, 0] | halves[:, 1] << 4).astype(np.uint8))
    return bytes(flat.astype(np.int8).view(np.uint8))


def blob(net: Net) -> tuple[bytes, list[tuple[int, int]]]:
    """All parameters, and where weights and biases of each layer begin; every part begins at a multiple of four."""
    parts, places = bytearray(), []
    for layer in net.layers:
        weights = len(parts)
        parts += _padded(packed(layer.weights, layer.bits))
        places.append((weights, len(parts)))
        parts += layer.biases.astype("<i4").tobytes()
    return bytes(parts), places


def sizes(net: Net) -> dict[str, int]:
    """What net_image.h says, by the last word of each macro."""
    first = net.layers[0]
    inputs = first.weights.shape[0] if net.spiking else first.rows * first.columns * first.weights.shape[-1]
    return {
        "INPUT": inputs,
        "CLASSES": net.layers[-1].weights.shape[1 if net.spiking else 0],
        "SCORE_SHIFT": net.score_shift,
        "LAYERS": len(net.layers),
        "PARAMETERS": len(blob(net)[0]),
        "ACTIVATION": 1 if net.spiking else net.largest_activation,
        "NEURONS": max(net.neurons, 1),
        "WIDEST": max(inputs, *(layer.weights.shape[1] for layer in net.layers)) if net.spiking else 1,
    }


def memory(net: Net) -> tuple[int, int]:
    """Bytes that the net itself takes of flash (parameters, layer table) and of RAM (parameters resident, buffers)."""
    size = sizes(net)
    buffers = 2 * size["ACTIVATION"] + 4 * size["NEURONS"] + size["WIDEST"]
    return size["PARAMETERS"] + 36 * len(net.layers), size["PARAMETERS"] + buffers


def write_image(net: Net, samples: Ints, folder: Path) -> None:
    """samples: [sample, input], the inputs that `workload` chooses from."""
    defines = [f'#define LABD_NET_NAME "{net.name}"', *(f"#define LABD_NET_{name} {value}u" for name, value in sizes(net).items())]
    (folder / "net_image.h").write_text("\n".join(["#ifndef NET_IMAGE_H", "#define NET_IMAGE_H", *defines, "#endif", ""]), encoding="utf-8")
    parameters, places = blob(net)
    lines = [
        '#include "labd_net.h"',
        "",
        f"static const uint8_t PARAMETERS[] = {{{_numbers(parameters)}}};",
        f"static const int8_t SAMPLES[] = {{{_numbers(samples.reshape(-1).tolist())}}};",
        "static const struct labd_net_layer LAYERS[] = {",
        *(f"    {_layer(net, layer, place)}," for layer, place in zip(net.layers, places, strict=True)),
        "};",
        "const struct labd_net labd_net = {",
        f"    {_KINDS[net.kind]}, {len(net.layers)}u, {net.steps}u, {net.leak_shift}u, {net.levels}u,",
        f"    LAYERS, PARAMETERS, SAMPLES, {len(samples)}u,",
        "};",
        "",
    ]
    (folder / "net_image.c").write_text("\n".join(lines), encoding="utf-8")


def _layer(net: Net, layer: Layer, place: tuple[int, int]) -> str:
    kind = "LABD_LAYER_FILTER" if layer.is_filter else "LABD_LAYER_DENSE"
    shape = layer.weights.shape
    inputs, outputs = (shape[0], shape[1]) if net.spiking else (shape[-1], shape[0])
    numbers = [layer.bits, layer.stride, layer.shift, layer.multiplier, layer.rows, layer.columns, inputs, outputs, *place]
    return f"{{{kind}, {', '.join(f'{number}u' for number in numbers)}, {layer.threshold}}}"


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _numbers(values: Iterable[int]) -> str:
    return "\n    " + ",\n    ".join(_lines([str(value) for value in values])) + ",\n"


def _lines(words: list[str]) -> Iterator[str]:
    for at in range(0, len(words), 24):
        yield ", ".join(words[at : at + 24])
