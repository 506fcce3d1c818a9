"""What the API takes: bodies with every field bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from labd.influx.replay import Raw
from labd.store.jobs import AfterFailure, JobKind, NewJob, Place

LONGEST_NS = 2**63 - 1
JOB = r"^j[0-9a-f]{8}$"


def _one_line(text: str) -> str:
    if any(not char.isprintable() for char in text):
        raise ValueError("control characters are refused")
    return text


def _lines(text: str) -> str:
    if any(not char.isprintable() and char not in "\n\t\r" for char in text):
        raise ValueError("control characters are refused")
    return text


def _like_a_job(text: Any) -> Any:
    if isinstance(text, str) and not re.search(JOB, text):
        raise ValueError("a job's id looks like j0a1b2c3d")
    return text


# Names reach files, topics and pages: no command of an instrument ("*RST;:OUTP ON") is one.
SafeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,79}$", examples=["rate sweep"])]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", examples=["keep"])]
Note = Annotated[str, Field(max_length=4000), AfterValidator(_lines)]
PlanText = Annotated[str, Field(min_length=1, max_length=200_000), AfterValidator(_lines)]
Cron = Annotated[str, Field(max_length=80), AfterValidator(_one_line)]
Zone = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]{0,60}$", examples=["Europe/Berlin"])]
Instant = Annotated[int, Field(ge=0, le=LONGEST_NS, description="nanoseconds UTC since 1970")]
JobId = Annotated[str, BeforeValidator(_like_a_job), Field(pattern=JOB, examples=["j0a1b2c3d"])]
DatasetId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", examples=["0a1b2c3d4e5f6071"])]
AccuracyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,160}$", examples=["20261128-101500-digits"])]
SearchId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,160}$", examples=["20261128-101500-keywords"])]
SearchPlatform = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$", examples=["m4"])]
RunId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,80}$", examples=["20261123-143000-demo-ab12"])]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class JobBody(Body):
    """A plan to run."""

    plan_text: PlanText = Field(description="the plan file's text (TOML)")
    plan_name: SafeName | None = Field(default=None, description="left out, the name in the plan")
    priority: int = Field(default=0, ge=-100, le=100, description="higher goes first")
    not_before_ns: Instant | None = Field(default=None)
    recurrence: Cron = Field(default="", description="five cron fields, such as `0 2 * * *`; needs zone", examples=[""])
    zone: Zone = Field(default="", description="time zone of the recurrence")
    after_failure: AfterFailure = Field(default=AfterFailure.CONTINUE, strict=False)
    retries: int = Field(default=0, ge=0, le=10, description="of a failed capture")
    attended: bool = Field(default=False, description="somebody stays with the bench")
    note: Note = ""
    tags: list[Tag] = Field(default_factory=list, max_length=20)

    def new_job(self, *, name: str, who: str, estimate_s: float | None) -> NewJob:
        given = self.model_dump() | {"plan_name": self.plan_name or name, "tags": tuple(self.tags)}
        return NewJob(**given, submitted_by=who, estimate_s=estimate_s)


class WorkBody(Body):
    """What may be said of any work without a plan that goes into the queue."""

    priority: int = Field(default=0, ge=-100, le=100, description="higher goes first")
    not_before_ns: Instant | None = Field(default=None)
    attended: bool = Field(default=False, description="somebody stays with the bench")
    note: Note = ""
    tags: list[Tag] = Field(default_factory=list, max_length=20)

    def new_job(self, kind: JobKind, name: str, *, who: str, asked: Mapping[str, Any]) -> NewJob:
        """asked: what it is to do, JSON data."""
        said = {field: getattr(self, field) for field in WorkBody.model_fields}
        return NewJob(name, "", kind=kind, asked=json.dumps(asked), submitted_by=who, **said | {"tags": tuple(self.tags)})


class AccuracyBody(WorkBody):
    """A data set to send to the board, sample by sample."""

    dataset: DatasetId = Field(description="of one that was sent")
    model: SafeName | None = Field(default=None, description="what plans call the model, where the board tells another name")
    fresh: bool = Field(default=False, description="begin anew where an earlier run was broken off")
    verify_every: int = Field(default=0, ge=0, le=10**6, description="read every so many uploads back; 0: the first only")


class SearchBody(WorkBody):
    """A use case to search for on this daemon's bench."""

    use_case_text: PlanText = Field(
        description="the use-case file's text (TOML), cards as texts or by absolute paths of the daemon's machine"
    )
    dataset: DatasetId = Field(description="of one that was sent, in place of the one that the file names")
    platforms: list[SearchPlatform] = Field(
        default_factory=list, max_length=100, description="those of it that are this bench; left out, all"
    )
    fresh: bool = Field(default=False, description="begin anew where an earlier search was broken off")


class JobChanges(Body):
    """What may be changed of a waiting job; what is left out stays."""

    plan_text: PlanText | None = None
    priority: int | None = Field(default=None, ge=-100, le=100)
    not_before_ns: Instant | None = None
    recurrence: Cron | None = None
    zone: Zone | None = None
    after_failure: AfterFailure | None = Field(default=None, strict=False)
    retries: int | None = Field(default=None, ge=0, le=10)
    attended: bool | None = None
    note: Note | None = None
    tags: list[Tag] | None = Field(default=None, max_length=20)

    def changes(self) -> dict[str, Any]:
        given = {name: value for name, value in self.model_dump(exclude_unset=True).items() if value is not None or name == "not_before_ns"}
        return given | ({"tags": tuple(given["tags"])} if "tags" in given else {})


class MoveBody(Body):
    where: Place = Field(strict=False)
    other: JobId | None = Field(default=None, description="with before and after: beside which job")


class AbortBody(Body):
    why: Annotated[str, Field(max_length=200), AfterValidator(_one_line)] = "aborted"


class LeaseBody(Body):
    until_ns: Instant
    purpose: Annotated[str, Field(max_length=200), AfterValidator(_one_line)] = ""


class PlanBody(Body):
    plan_text: PlanText


class RunChanges(Body):
    """A person's own words about a run."""

    notes: Note | None = None
    add_tags: list[Tag] = Field(default_factory=list, max_length=20)
    remove_tags: list[Tag] = Field(default_factory=list, max_length=20)


class ReplayBody(Body):
    """What to send once more; a window of single samples where `capture` is given: the capture's place in its run, and two instants of
    one of its stretches, on its own axis."""

    capture: Annotated[int, Field(ge=0, le=10**6)] | None = None
    stretch: Annotated[int, Field(ge=0, le=10**6)] = 0
    from_s: Annotated[float, Field(ge=-1e6, le=1e9)] = 0.0
    until_s: Annotated[float, Field(ge=-1e6, le=1e9)] = 0.0

    def raw(self) -> Raw | None:
        return None if self.capture is None else Raw(self.capture, self.stretch, self.from_s, self.until_s)
