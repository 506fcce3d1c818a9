"""The first word of an emergency stop: said to the bench's guards before the rest of labd is loaded, which takes longer than switching off.

It asks for what a guard is armed for and needs no more of the bench file than its name: a stop works while the file has an error in it.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

from labd.daemon.guard_place import socket_places

ANSWER_S = 15.0
LONGEST = 1 << 16  # bytes of an answer


class FirstWord:
    """Said by threads of its own. What comes of it matters only where the whole command, which verifies every output, cannot follow."""

    def __init__(self, bench: Path) -> None:
        self._answers: list[dict[str, Any]] = []
        self._asked = [
            threading.Thread(target=self._ask, args=(place, name), name=f"first word to {place}", daemon=True)
            for name, wanted in _named(bench)
            for place in socket_places(bench, name, wanted)
        ]
        for thread in self._asked:
            thread.start()

    def results(self) -> list[dict[str, Any]]:
        """How switching off went, one source after the other, as the guards say it; empty where none was armed for this bench."""
        end_s = time.monotonic() + ANSWER_S
        for thread in self._asked:
            thread.join(max(0.0, end_s - time.monotonic()))
        return [result for answer in self._answers for result in answer.get("results", ())]

    def _ask(self, place: Path, name: str) -> None:
        if sys.platform == "win32":
            return
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as guard:
            guard.settimeout(ANSWER_S)
            guard.connect(str(place))
            guard.sendall(json.dumps({"op": "off", "bench": name, "n": 1}).encode() + b"\n")
            with guard.makefile("rb") as answer:
                self._answers.append(json.loads(answer.readline(LONGEST)))


def _named(bench: Path) -> list[tuple[str, str | None]]:
    """Name and `[guard] socket` in the file, also in one that is no TOML (any more).

    Empty for a virtual bench, and where no name is found.
    """
    try:
        text = bench.read_bytes().decode(errors="replace")
    except OSError:
        return []
    if not re.search(r"^\s*resource\s*=", text, re.MULTILINE):
        return []  # nothing but real instruments has a guard
    try:
        file = tomllib.loads(text)
        return [(str(file["name"]), file.get("guard", {}).get("socket"))]
    except (ValueError, LookupError, AttributeError):
        name, wanted = (re.search(rf"^\s*{key}\s*=\s*[\"'](.*?)[\"']", text, re.MULTILINE) for key in ("name", "socket"))
        return [(name[1], wanted and wanted[1])] if name else []
