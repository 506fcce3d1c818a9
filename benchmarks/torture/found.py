"""What a case came to: its figures, and what falls short of what is promised."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path


class Unexpected(AssertionError):
    """The daemon did not do what it promises, and the case cannot go on."""


@dataclass(slots=True)
class Found:
    """said: figures, for the last line. short: one sentence for each thing that is not as promised."""

    said: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def expect(self, held: bool, text: str) -> None:  # noqa: FBT001  reads as a sentence
        """A case goes on after what falls short, as far as it can."""
        if not held:
            self.short.append(text)


Case = Callable[[Path, Found], None]


def run(command: str, lanes: list[dict[str, Case]]) -> int:
    """The cases of a lane one after the other, the lanes beside each other; the last line is printed whatever happens.

    command: whose cases they are, `make` of which began them. Returns its exit code.
    """
    began = time.monotonic()
    running: list[Future[None]] = []
    whole = False
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f"labd-{command}-", ignore_cleanup_errors=True) as place,
            ThreadPoolExecutor(max(1, len(lanes))) as threads,
        ):
            found: list[list[Found]] = [[] for _ in lanes]
            running = [threads.submit(_lane, command, lane, Path(place), into) for lane, into in zip(lanes, found, strict=True)]
            for one in running:
                one.result()
            whole = True
    finally:
        lines, code = _told(command, [one for lane in found for one in lane], time.monotonic() - began, whole=whole)
        print("\n".join(lines), flush=True)
    return code


def _lane(command: str, cases: Mapping[str, Case], place: Path, into: list[Found]) -> None:
    for name, case in cases.items():
        into.append(_tried(command, name, case, place / name))


def _tried(command: str, name: str, case: Case, folder: Path) -> Found:
    """Run a case in a folder of its own. Whatever it raises falls short, under its name, and leaves the other cases alone."""
    found = Found()
    began = time.monotonic()
    try:
        folder.mkdir(parents=True)
        case(folder, found)
    except Unexpected as error:
        found.short.append(str(error))
    except Exception as error:  # noqa: BLE001  the edge of a case
        found.short.append(f"{type(error).__name__}: {error}")
        traceback.print_exc()
    found.said[:] = [f"{name}: {text}" for text in found.said]
    found.short[:] = [f"{name}: {text}" for text in found.short]
    print(f"{command}: {name}: {time.monotonic() - began:.0f} s, {len(found.short)} fall short", file=sys.stderr, flush=True)
    return found


def _told(command: str, found: Iterable[Found], seconds: float, *, whole: bool) -> tuple[list[str], int]:
    """The lines to print, the figures on the last one, and the exit code. whole: every case came to its end."""
    said = [text for one in found for text in one.said]
    short = [text for one in found for text in one.short]
    verdict = [f"{len(short)} fall short"] if short else ["ok"] if whole else []
    last = f"{command}: {seconds:.0f} s; {'; '.join([*said, *([] if whole else ['broken off']), *verdict])}"
    return [*said, *(f"FALLS SHORT: {text}" for text in short), last], int(bool(short) or not whole)
