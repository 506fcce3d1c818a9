"""The board and plan file of a candidate, made from those of its platform and the use-case file."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labd import bench_file
from labd.bench_file import Bench, Board, Plan
from labd.bench_file.board import board_from
from labd.bench_file.cards import ONE
from labd.config.document import Source, read_source
from labd.config.quantity import FREQUENCY, VOLTAGE, write_quantity
from labd.config.write import toml_text
from labd.errors import FileError
from labd.search.builders import Candidate
from labd.search.outcome import Settings
from labd.search.use_case import Platform, UseCase, card_data
from labd.store.folder import write_whole

BOARD, PLAN = "board.toml", "plan.toml"
_CAPTURES = {"events": 60, "event_captures": 4}  # as MeasureSection has it


@dataclass(frozen=True, slots=True)
class Asked:
    """A candidate that is to be measured. made None: the platform's board and firmware as they are, to see that its files fit."""

    use_case: UseCase
    platform: str
    number: int
    settings: Settings
    made: Candidate | None
    repeat: int = 0

    @property
    def of(self) -> Platform:
        return self.use_case.platforms[self.platform]


def bench_of(asked: Asked, bench: Bench, folder: Path | None) -> Bench:
    """The platform's bench with the candidate's board. folder: where the board file is written; None: nowhere. Raises FileError."""
    text = toml_text(_board(asked, bench.board))
    path = (folder or bench.board.path.parent) / BOARD
    if folder is not None:
        write_whole(path, text)
    copy = bench.model_copy()
    copy._board = board_from(_source(path, text))
    bench_file.check_bench(copy)
    return copy


def plan_of(asked: Asked, bench: Bench, folder: Path | None) -> Plan:
    """Of one candidate at the rate of the events, checked against its bench. Raises FileError."""
    text = toml_text(_plan(asked, bench.board))
    path = (folder or asked.use_case.path.parent) / PLAN
    if folder is not None:
        write_whole(path, text)
    plan = bench_file.plan_of(text, path)
    bench_file.check_plan(bench, plan)
    return plan


def sent(use_case: UseCase) -> str:
    """The text of a use case with the texts of its cards in place of their names, as a daemon that has not these files can read it. Raises
    FileError."""
    data = tomllib.loads(use_case.text)
    given = {kind: file for kind in ONE if (file := getattr(use_case.cards, kind)) is not None}
    texts = {kind: file if "\n" in file else read_source(use_case.beside(file)).text.rstrip("\n") + "\n" for kind, file in given.items()}
    return toml_text({**data, "cards": texts} if texts else data)


def check_files(use_case: UseCase, platform: str, bench: Bench, every: Iterator[Settings]) -> None:
    """That bench and plan fit each other with the first candidate, and its board with each clock and supply. Raises FileError that names
    the use-case file."""
    seen: set[tuple[object, ...]] = set()
    for settings in every:
        board_side = (settings.mode, settings.clock_hz, settings.supply_v)
        if board_side in seen:
            continue
        seen.add(board_side)
        asked = Asked(use_case, platform, 0, settings, None)
        try:
            plan_of(asked, bench_of(asked, bench, None), None)
        except FileError as error:
            text = f"no candidate with {_words(settings)} can be measured on {use_case.platforms[platform].bench}"
            if own := _own_key(error, asked, bench):
                told = error.text.replace(str(bench.board.path.parent / BOARD), "its board")
                raise FileError(str(use_case.path), own, f"{told}; {text} (platforms.{platform})") from error
            raise FileError(str(use_case.path), f"platforms.{platform}", f"{text}: {_where(error, bench)}") from error


def _own_key(error: FileError, asked: Asked, bench: Bench) -> str:
    """The key of the use-case file that a made plan's or board's key was written from; empty where it has another source."""
    first = error.key.partition(".")[0].partition("[")[0]
    given = asked.of.model_fields_set
    if error.file == str(bench.board.path.parent / BOARD):
        return f"platforms.{asked.platform}.{first}" if first in given & {"clock", "supply", "longest_event"} else ""
    if Path(error.file).name != PLAN:
        return ""
    if first in ("modes", "supply"):
        key = "mode" if first == "modes" else first
        return f"platforms.{asked.platform}.{key}" if key in given else ""
    if first == "cards":
        return error.key if error.key.removeprefix("cards.") in asked.use_case.cards.model_fields_set else ""
    if first == "rates":
        return "events.rate"
    return f"measure.{error.key}" if first in tomllib.loads(asked.use_case.text).get("measure", {}) else ""


def _where(error: FileError, bench: Bench) -> str:
    """Plan and board of a candidate are made, and lie nowhere yet: their keys are told without a file."""
    board = str(bench.board.path.parent / BOARD)
    name = "its board" if error.file == board else "its plan" if Path(error.file).name == PLAN else ""
    told = f"{name}: {error.key}: {error.text}" if name else str(error)
    return told.replace(board, "its board")


def _words(settings: Settings) -> str:
    parts = [f"mode {settings.mode}"]
    parts += [] if settings.clock_hz is None else [f"clock {write_quantity(settings.clock_hz, FREQUENCY)}"]
    parts += [] if settings.supply_v is None else [f"supply {write_quantity(settings.supply_v, VOLTAGE)}"]
    return ", ".join(parts)


def _board(asked: Asked, board: Board) -> dict[str, Any]:
    """Slower by its clock, an event lasts longer."""
    data = tomllib.loads(board.text)
    settings, made = asked.settings, asked.made
    longest_s = asked.of.longest_event or board.longest_event
    if settings.clock_hz is not None:
        data["clock"] = f"{settings.clock_hz!r} Hz"
        longest_s *= max(1.0, board.clock / settings.clock_hz)
    data["longest_event"] = f"{longest_s!r} s"
    if settings.supply_v is not None:
        data["supply"] = f"{settings.supply_v!r} V"
    if board.card is not None:
        data["card"] = str((board.path.parent / board.card).resolve())
    if made is not None:
        data["models"] = [made.model]
        if (program := made.file("program")) is not None:
            data["virtual"] = {**data.get("virtual", {}), "firmware_program": str(program.resolve())}
    if "virtual" in data:
        data["virtual"] = {**data["virtual"], **_followed(data["virtual"], board.path.parent)}
    if asked.repeat and "virtual" in data:  # else a virtual bench would repeat its noise
        own = data["virtual"]
        data["virtual"] = {**own, "seed": int(own.get("seed", 1)) + asked.repeat}
    return data


def _followed(virtual: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Files that it names, wherever the board file is written."""
    keys = ("firmware_program", "firmware_pins_socket")
    return {key: str((folder / str(virtual[key])).resolve()) for key in keys if key in virtual}


def _plan(asked: Asked, board: Board) -> dict[str, Any]:
    raw = tomllib.loads(asked.use_case.text)
    measure = dict(raw.get("measure", {}))
    measure["captures"] = measure.get("captures", _CAPTURES)
    measure.setdefault("detector", {"kind": "host-triggered"})
    supply_v = board.supply if asked.settings.supply_v is None else asked.settings.supply_v
    head = {
        "schema": 1,
        "name": f"{asked.use_case.name}: {asked.platform} {asked.number}",
        "use_case": asked.use_case.description or asked.use_case.name,
        "modes": [str(asked.settings.mode)],
        "rates": ["0 /s", raw["events"]["rate"]],
        "supply": [f"{supply_v!r} V"],
        "models": [asked.made.model if asked.made else board.models[0]],
        "seed": asked.use_case.search.seed + asked.repeat,
    }
    return {**head, **measure, "cards": _cards(asked, raw)}


def _cards(asked: Asked, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Files by absolute paths; the use case, and what the builder wrote, by their texts."""
    given = {kind: file for kind in ONE if (file := getattr(asked.use_case.cards, kind)) is not None}
    cards: dict[str, Any] = {kind: file if "\n" in file else str(asked.use_case.beside(file).resolve()) for kind, file in given.items()}
    cards["use_case"] = toml_text(card_data(asked.use_case, raw))
    if asked.made is not None:
        if (toolchain := asked.made.file("toolchain")) is not None:
            cards["toolchain"] = str(toolchain.resolve())
        cards["model"] = {asked.made.model: asked.made.card.rstrip("\n") + "\n"}
    return cards


def _source(path: Path, text: str) -> Source:
    return Source(path, text, hashlib.sha256(text.encode()).hexdigest())
