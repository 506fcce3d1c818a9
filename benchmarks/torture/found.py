"""What a case came to: its figures, and what falls short of what is promised."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable
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


def tried(name: str, case: Case, folder: Path) -> Found:
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
    print(f"torture: {name}: {time.monotonic() - began:.0f} s, {len(found.short)} fall short", file=sys.stderr, flush=True)
    return found


def told(found: Iterable[Found], seconds: float, *, whole: bool) -> tuple[list[str], int]:
    """The lines to print, the figures on the last one, and the exit code. whole: every case came to its end."""
    said = [text for one in found for text in one.said]
    short = [text for one in found for text in one.short]
    verdict = [f"{len(short)} fall short"] if short else ["ok"] if whole else []
    last = f"torture: {seconds:.0f} s; {'; '.join([*said, *([] if whole else ['broken off']), *verdict])}"
    return [*said, *(f"FALLS SHORT: {text}" for text in short), last], int(bool(short) or not whole)
