"""From a request of labd's search to an image with a trained net, and the answer (docs/reference/candidate-builder.md)."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digit_nets import cards
from digit_nets.digits import Split, digits
from digit_nets.image import memory, write_image
from digit_nets.layers import Ints, Net
from digit_nets.reference import Outcome, infer
from labd_virtual.firmware_build import HOST, FirmwareError, build, clock_of, recipe, run
from labd_virtual.firmware_images import sizes

FIRMWARE = Path(__file__).resolve().parents[2]
SAMPLES = 16  # inputs in the image; a spiking net's work depends on its input
MOST_NEURONS = 256  # an event is one byte


class BadRequest(ValueError):
    """The use case asks for what this builder does not know; the text says what it knows."""


class Refused(ValueError):
    """There is no such candidate."""


def answer_request(train: Callable[[Mapping[str, Any], Split], Net]) -> int:
    """The builder's main: its last argument is the request. train: the net for these parameters. Exit status."""
    try:
        request = json.loads(Path(sys.argv[-1]).read_text("utf-8"))
        answer = _answer(request, train)
    except Refused as error:
        answer = {"schema": 1, "refused": str(error)}
    except (BadRequest, FirmwareError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    Path(request["answer"]).write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    return 0


def _answer(request: Mapping[str, Any], train: Callable[[Mapping[str, Any], Split], Net]) -> dict[str, Any]:
    folder, kind = Path(request["folder"]), request["board"]["kind"]
    _runs_at(kind, request["board"]["clock_hz"])
    training, testing = digits()
    net = train(request["parameters"], training)
    outcome = infer(net, testing.inputs)
    right = float(np.mean(np.argmax(outcome.logits, axis=1) == testing.labels))
    write_image(net, typical(testing.inputs, outcome), folder)
    name, size = asyncio.run(_compiled(folder, kind, net))
    (folder / "model.toml").write_text(cards.model_card(net, outcome), encoding="utf-8")
    compiler = asyncio.run(_version(kind))
    (folder / "toolchain.toml").write_text(cards.toolchain_card(net, compiler, engine=_ENGINE), encoding="utf-8")
    work = ", ".join(f"{count.mean():.0f} {what}" for what, count in outcome.work.items() if count.any())
    return {
        "schema": 1,
        "model": net.name,
        "program" if kind == HOST else "image": name,
        "card": "model.toml",
        "toolchain": "toolchain.toml",
        "size": size,
        "expected_accuracy": right,
        "messages": [f"{cards.structure(net)}: {work} an inference, mean over {len(testing.labels)} test samples"],
    }


_ENGINE = "where the board has an engine for products, synaptic operations or neuron updates, it does them"


def _runs_at(kind: str, clock_hz: float) -> None:
    """Raises Refused for a clock that a board's firmware does not set: its figures would stand beside a wrong one."""
    if kind == HOST:
        return
    fixed_hz = clock_of(FIRMWARE, kind)
    if clock_hz != fixed_hz:
        raise Refused(f"the firmware of {kind} runs at {fixed_hz / 1e6:g} MHz, and is asked to run at {clock_hz / 1e6:g} MHz")


async def _compiled(folder: Path, kind: str, net: Net) -> tuple[str, dict[str, Any]]:
    """File name and size. Raises Refused where it does not fit."""
    try:
        made = await build(FIRMWARE, energy_mode=False, target=kind, net=folder, cache=folder)
    except FirmwareError as error:
        if "will not fit" in str(error) or "less than 2 kB" in str(error) or "overflowed" in str(error):
            raise Refused(f"{net.name} does not fit {kind}: {error}") from error
        raise
    name = "program" if kind == HOST else "image.elf"
    shutil.move(made, folder / name)
    if kind == HOST:
        flash, ram = memory(net)
        return name, {"flash": flash, "ram": ram, "of": "net"}
    whole = sizes(folder / name)
    return name, {"flash": whole.flash, "ram": whole.ram, "of": "image"}


async def _version(kind: str) -> str:
    _, said = await run(recipe(FIRMWARE, energy_mode=False, target=kind).compiler, "--version")
    return said.partition("\n")[0]


def typical(inputs: Ints, outcome: Outcome) -> Ints:
    """Inputs at evenly spaced ranks of work, in the middle of as many equal parts of the data set: their work has its mean, its scatter and
    its quantiles. In the order of the inputs, so that neighbours in an image are not alike."""
    work = outcome.work["synop"] + 2 * outcome.work["neuron_update"]
    ranks = (2 * np.arange(SAMPLES) + 1) * len(work) // (2 * SAMPLES)
    chosen: Ints = inputs[np.sort(np.argsort(work, kind="stable")[ranks])]
    return chosen


def only(parameters: Mapping[str, Any], known: Mapping[str, str]) -> None:
    """Raises BadRequest for a parameter that is missing or that nobody knows. known: name to what is right."""
    for name in parameters:
        if name not in known:
            raise BadRequest(f"parameters.{name}: no such parameter; there are {', '.join(known)}")
    for name, right in known.items():
        if name not in parameters:
            raise BadRequest(f"parameters.{name}: this parameter is required: {right}")


def one_of(parameters: Mapping[str, Any], name: str, known: tuple[Any, ...]) -> Any:
    if (value := parameters[name]) not in known:
        raise BadRequest(f"parameters.{name}: expected one of {', '.join(map(str, known))}, got {value!r}")
    return value


def widths(parameters: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """`"16-32"` as (16, 32), 64 as (64,), 0 or "none" as ()."""
    value = parameters[name]
    words = [] if value in (0, "none") else str(value).split("-")
    if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= 1024 for word in words) or len(words) > 3:
        raise BadRequest(f'parameters.{name}: expected up to three widths such as "16-32", or "none", got {value!r}')
    return tuple(map(int, words))


def joined(numbers: tuple[int, ...]) -> str:
    return "-".join(map(str, numbers)) or "0"
