"""A builder for tests: labd's own firmware for this host, with the net that is asked for."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

from labd import resources
from labd_virtual.firmware_build import build

CARD = """schema = 1
card = "model"
name = "{net}"
family = "{net}"
"""
BYTES = {"dnn": (2_600, 4_200), "snn": (6_000, 2_000)}


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder, parameters = Path(request["folder"]), request["parameters"]
    net = parameters["net"]
    if parameters.get("crash"):
        sys.exit("this candidate cannot be built")
    name, key = ("image.elf", "image") if parameters.get("flashed") else ("program", "program")
    shutil.copy(asyncio.run(build(resources.path("firmware"), energy_mode=False)), folder / name)
    (folder / "card.toml").write_text(CARD.format(net=net), encoding="utf-8")
    flash, ram = BYTES[net]
    size = {"flash": flash + parameters.get("padding", 0), "ram": ram, "of": "net"}
    answer = {"schema": 1, "model": net, key: name, "card": "card.toml", "size": size}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
