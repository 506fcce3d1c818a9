"""The use-case file: targets, events, platforms and what may be chosen on each of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from labd.bench_file.cards import CardsSection
from labd.bench_file.plan import CapturesSection, ConditionsSection, DetectorSection
from labd.cards.kinds import Events, Targets
from labd.config.document import FileSection, Source, parse_section, read_source
from labd.config.quantity import shown
from labd.config.section import Section, Wrong
from labd.config.types import Count, Flag, Fraction, Hertz, Name, Seconds, Seed, Text, Volts, Words
from labd.records import Mode
from labd.search.contract import HOST

Objective = Literal["energy_per_inference", "mean_power", "accuracy", "latency", "memory"]
STATISTICS = ("periodic", "Poisson")
LIMITS = ("accuracy", "energy_per_inference", "mean_power", "latency", "memory")  # keys of the targets that are limits
MOST_TRIALS = 10_000


def _choice(value: object) -> str | int | float:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise PydanticCustomError("labd", "{text}", {"text": f"expected a word or a number, got {shown(value)}"})


Choice = Annotated[str | int | float, BeforeValidator(_choice), WithJsonSchema({"type": ["string", "number"]})]
Integer = Annotated[int, Field(strict=True)]


MOST_VALUES = 10_000  # of one range: they are listed


class Range(Section):
    """Whole numbers from low to high, both among them."""

    low: Integer = Field(description="smallest")
    high: Integer = Field(description="largest")
    step: Count = Field(default=1, description="from one to the next")

    def wrong(self) -> Iterator[Wrong]:
        if self.low > self.high:
            yield Wrong("low", f"expected at most {self.high}, which is high, got {self.low}")
        elif (count := (self.high - self.low) // self.step + 1) > MOST_VALUES:
            yield Wrong("step", f"expected a step that leaves at most {MOST_VALUES} values, {self.step} leaves {count}")


class Platform(Section):
    """One bench and its board, and the candidates that there are for it. What is a list is searched over; one entry is as good as fixed."""

    bench: Words = Field(description="bench file, relative to this one")
    builder: tuple[Words, ...] = Field(
        min_length=1,
        description="command that makes a candidate, word by word; the name of its request, a JSON file, is its last argument. "
        "It runs in this file's folder; `python` as the first word is the interpreter that labd runs under",
    )
    depends: tuple[Words, ...] = Field(default=(), description="files and folders beside the builder's own that a candidate follows from")
    build_time: Seconds = Field(default=600.0, description="that the builder may take for one candidate")
    kind: Words = Field(default=HOST, description=f"which board an image is for, as the builder calls it; {HOST}: a virtual board")
    choices: Mapping[Name, tuple[Choice, ...]] = Field(
        default_factory=dict, description="parameters of the builder with the words or numbers to choose among, precision among them"
    )
    ranges: Mapping[Name, Range] = Field(default_factory=dict, description="parameters of the builder that are whole numbers")
    mode: tuple[Mode, ...] = Field(
        default=(Mode.EVENT_SLEEP,), min_length=1, description="how the board spends the time between inferences"
    )
    clock: tuple[Hertz, ...] = Field(default=(), description="core clocks; left out, that of the board file")
    supply: tuple[Volts, ...] = Field(default=(), description="supply voltages; left out, the nominal one of the board file")
    longest_event: Seconds | None = Field(
        default=None, description="of the largest candidate at the board file's clock, as the board file means it; left out, as there"
    )
    trials: Count | None = Field(default=None, description="most candidates on this platform; left out, that of the search")

    def wrong(self) -> Iterator[Wrong]:
        for name in self.ranges:
            if name in self.choices:
                yield Wrong(f"ranges.{name}", "is among the choices too; leave out one of the two")
        for name, values in self.choices.items():
            if not values or len(set(map(str, values))) < len(values):
                yield Wrong(f"choices.{name}", "expected at least one value, and each once")
        for key in ("mode", "clock", "supply"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                yield Wrong(key, "expected each value once")


class SearchSection(Section):
    """How candidates are chosen, and how many."""

    trials: Count = Field(default=24, description="most candidates on each platform")
    method: Literal["tpe", "nsga2"] = Field(
        default="tpe", description="tpe: tree-structured Parzen estimator; nsga2: genetic. Both of Optuna, with several objectives"
    )
    seed: Seed = Field(default=1, description="of the choice of candidates, and of every candidate's plan")
    first_part: Count = Field(
        default=50,
        description="samples after which a candidate is given up where even the upper end of its accuracy's 95 % interval is too low",
    )
    confirm: Flag = Field(
        default=True,
        description="measure the best candidate once more: the least of many noisy figures is low by chance; only new data say by how much",
    )

    def wrong(self) -> Iterator[Wrong]:
        if self.trials > MOST_TRIALS:
            yield Wrong("trials", f"expected at most {MOST_TRIALS}, got {self.trials}")


class MeasureSection(Section):
    """How each candidate is measured: keys of a plan file. Rates are 0 /s and that of the events."""

    activity: Fraction = Field(default=0.1, description="share of input bands that change per frame, in whole percent")
    idle_kind: Literal["busy_poll", "wfi", "clock_gated"] = Field(default="wfi", description="how always_on waits")
    captures: CapturesSection = Field(
        default_factory=lambda: CapturesSection(events=60, event_captures=4), description="how much is captured; a p95 needs 59 events"
    )
    conditions: ConditionsSection = Field(default_factory=ConditionsSection, description="what must hold before a run")
    detector: DetectorSection = Field(
        default_factory=lambda: DetectorSection(kind="host-triggered"), description="what decides that an event happened"
    )


class UseCase(FileSection):
    """A use-case file with every quantity in SI units. `path`, `text`, `sha256`: the file it was read from."""

    kind: ClassVar[str] = "a use-case file"

    schema_version: Literal[1] = Field(alias="schema", description="version of this file's layout: 1")
    name: Words = Field(description="short name")
    description: Text = Field(default="", description="the task, in words")
    dataset: Words = Field(description="folder of inputs with their y_labels.csv, or that file, relative to this one")
    targets: Targets = Field(default_factory=Targets, description="what it asks for; a target that is left out limits nothing")
    events: Events = Field(description="how often something happens; statistics: periodic (the default) or Poisson")
    objectives: tuple[Objective, ...] = Field(
        default=("energy_per_inference", "accuracy", "latency"),
        min_length=1,
        description="what is made small (accuracy: large); among candidates that meet every target the first one decides",
    )
    search: SearchSection = Field(default_factory=SearchSection, description="how candidates are chosen")
    measure: MeasureSection = Field(default_factory=MeasureSection, description="how each of them is measured")
    cards: CardsSection = Field(
        default_factory=CardsSection, description="task, dataset, toolchain and setup; this file is the use case, models are the builder's"
    )
    platforms: Mapping[Name, Platform] = Field(min_length=1, description="what is searched, by name")

    @property
    def rate_hz(self) -> float:
        assert self.events.rate is not None
        return self.events.rate

    @property
    def poisson(self) -> bool:
        return self.events.statistics == "Poisson"

    @property
    def limits(self) -> dict[str, float]:
        """Targets that are given, SI units."""
        found = {key: value for key in LIMITS if (value := getattr(self.targets, key)) is not None}
        return found | ({} if self.events.largest_rate is None else {"largest_rate": self.events.largest_rate})

    def wrong(self) -> Iterator[Wrong]:
        if self.events.rate is None:
            yield Wrong("events.rate", 'this key is required: mean power and energy at rate are those of this rate, such as "2 /s"')
        if self.events.statistics not in ("", *STATISTICS):
            yield Wrong("events.statistics", f'expected "periodic" or "Poisson", got {shown(self.events.statistics)}')
        if len(set(self.objectives)) < len(self.objectives):
            yield Wrong("objectives", "expected each value once")
        for key in ("use_case", "model"):
            if getattr(self.cards, key):
                yield Wrong(
                    f"cards.{key}", "leave this key out: this file is the use case, and the builder writes a candidate's model card"
                )
        if abs(self.measure.activity * 100 - round(self.measure.activity * 100)) > 1e-9:
            yield Wrong("measure.activity", "expected whole percent")

    def beside(self, file: str) -> Path:
        """A file that this one names."""
        return self.path.parent / file


def load_use_case(path: Path) -> UseCase:
    """Read a use-case file. Raises FileError with every problem, one line each."""
    return use_case_of(read_source(path))


def use_case_of(source: Source) -> UseCase:
    """What a text asks for. Raises FileError."""
    use_case = parse_section(source, UseCase)
    use_case._source = source
    return use_case


def card_data(use_case: UseCase, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The use-case card that its runs carry: raw, the file as TOML parses, in the card's own keys."""
    kept = {key: raw[key] for key in ("description", "targets", "events") if key in raw}
    return {"schema": 1, "card": "use_case", "name": use_case.name, **kept}
