"""The model card and the toolchain card of a built net, as TOML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import sklearn

from digit_nets.image import blob, memory
from digit_nets.layers import Net
from digit_nets.reference import Outcome

Value = str | int | float | list[str]
TRAINED_SHA256 = "trained_sha256"


def model_card(net: Net, outcome: Outcome) -> str:
    """outcome: over the test split, whose means stand in the card."""
    size = memory(net)[1]
    weights = np.concatenate([layer.weights.reshape(-1) for layer in net.layers])
    largest = net.neurons * 4 if net.spiking else net.largest_activation
    bits = sorted({layer.bits for layer in net.layers})
    keys: dict[str, Value] = {
        "family": "snn" if net.spiking else "dnn",
        "source": "firmware/nets of labd: trained by its builder",
        "structure": structure(net),
        "parameters": net.parameters,
        "macs": int(outcome.work["mac"][0]),
        "weight_bits": f"{'mixed ' if len(bits) > 1 else ''}{'/'.join(map(str, bits))}{'' if net.spiking else ', biases 32'}",
        "activation_bits": "1 (spikes), potentials 32" if net.spiking else "8",
        "weight_sparsity": percent(float(np.mean(weights == 0))),
        "activation_sparsity": percent(sparsity(outcome)),
        "largest_activation": f"{largest} B",
        "footprint": f"{size} B",
        "deployed_sha256": hashlib.sha256(blob(net)[0]).hexdigest(),
        "unknown": [TRAINED_SHA256],
    }
    if net.spiking:
        del keys["macs"]
        keys |= {
            "neurons": net.neurons,
            "synops": float(outcome.work["synop"].mean()),
            "spikes": float(outcome.work["spike"].mean()),
        }
    return _toml("model", net.name, keys)


def toolchain_card(net: Net, compiler: str, *, engine: str) -> str:
    """compiler: its first line of words about itself. engine: what the image leaves to the board's own."""
    method = "surrogate gradients through time" if net.spiking else "gradient descent"
    keys: dict[str, Value] = {
        "framework": f"numpy {np.__version__}, {method}; data by scikit-learn {sklearn.__version__}",
        "quantisation": "weights in the forward pass of training (straight-through); activations calibrated on the training split",
        "optimisations": "none",
        "compiler": f"{compiler}, -O2",
        "mapping": f"layer by layer on one processor; {engine}",
        "runtime": "firmware/core of labd, no library",
        "optimised_for_platform": "partly",
        "optimisations_available": "the virtual boards have no vendor",
        "search": "none: a search that chose this candidate says so itself",
    }
    return _toml("toolchain", f"{net.name} by labd's builder", keys)


def structure(net: Net) -> str:
    """In words."""
    if net.spiking:
        widths = [net.layers[0].weights.shape[0], *(layer.weights.shape[1] for layer in net.layers)]
        return f"leaky integrate-and-fire, {'-'.join(map(str, widths))}, {net.kind} coded, {net.steps} steps; the last layer gathers"
    parts = []
    for layer in net.layers:
        outputs, inputs = layer.weights.shape[0], layer.weights.shape[-1]
        stride = f" stride {layer.stride}" if layer.stride > 1 else ""
        parts.append(f"convolution 3x3 {inputs}-{outputs}{stride}" if layer.is_filter else f"dense {inputs}-{outputs}")
    return ", ".join(parts)


def sparsity(outcome: Outcome) -> float:
    """Share of hidden activations (or of neurons and steps) that are zero."""
    hidden = outcome.outputs if outcome.work["synop"].any() else outcome.outputs[:-1]
    zeros = sum(int(np.sum(layer == 0)) for layer in hidden)
    return zeros / max(1, sum(layer.size for layer in hidden))


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _toml(kind: str, name: str, keys: Mapping[str, Value]) -> str:
    lines = ["schema = 1", f'card = "{kind}"', f'name = "{name}"']
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]) + "\n"  # what is JSON here is TOML too
