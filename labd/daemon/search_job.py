"""A search as a job of the queue: on the daemon's own bench, with builders that its bench file names."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from labd.accuracy.kept import kept_dataset
from labd.bench.control import RunControl
from labd.bench_file import Bench
from labd.config.document import Source
from labd.daemon.around import Surroundings
from labd.daemon.flashing import check_flash
from labd.daemon.searching import Checked, Told, on_one_bench, with_basis
from labd.daemon.stopping import stoppable
from labd.errors import FileError
from labd.search.files import check_files
from labd.search.folder import Folder, folder_of, open_search
from labd.search.space import settings_of, space_of
from labd.search.use_case import UseCase, use_case_of
from labd.store.folder import slug
from labd.store.jobs import JobRow
from labd.store.jsonform import from_json
from labd.stream.news import News, NewsKind


@dataclass(frozen=True, slots=True)
class SearchAsked:
    """What a job of the queue is to do. use_case: the file's text, its cards as texts. dataset: id of a kept one. platforms: those of it
    that are this bench."""

    use_case: str
    dataset: str
    platforms: tuple[str, ...]
    fresh: bool = False


async def search_job(job: JobRow, bench: Bench, around: Surroundings, control: RunControl) -> None:
    """It goes on with what an earlier process, or its own first attempt, has made. Raises LabdError."""
    asked = from_json(SearchAsked, json.loads(job.asked))
    whole = await asyncio.to_thread(_checked, asked, bench, around.catalogue.folder, f"job {job.id} ({job.plan_name})")
    folder = await asyncio.to_thread(_folder, job, whole, around.catalogue.folder, asked)
    await around.catalogue.do(lambda catalogue: catalogue.jobs.learn(job.id, made=folder.id))

    def show(told: Told) -> None:
        outcome = told.outcome
        text = f"{outcome.name} [{outcome.settings.key}] {outcome.state}{f': {outcome.why}' if outcome.why else ''}"
        data = {"platform": outcome.platform, "done": told.done, "of": told.of, "candidate": outcome.number, "state": str(outcome.state)}
        around.news.publish(News(time.time_ns(), NewsKind.NOTICE, text, job=job.id, data=data))

    work = on_one_bench(whole, folder, around, control, show=show, job=job.id)
    await stoppable(work, control.stop, why=lambda: control.reason)


def asked_of(use_case_text: str, name: str, *, bench: Bench, platforms: tuple[str, ...]) -> UseCase:
    """A use case as it was sent, with those of its platforms that are meant; their bench is this one. Raises FileError, also for what it
    may not have: a builder that the bench file does not name."""
    # a name that came from elsewhere leads nowhere: builders run in the bench file's folder
    source = Source(bench.path.parent / f"{slug(name)}.toml", use_case_text, hashlib.sha256(use_case_text.encode()).hexdigest())
    use_case = use_case_of(source)
    for platform in platforms or use_case.platforms:
        if platform not in use_case.platforms:
            raise FileError(name, "platforms", f"there is no platform {platform!r} in it, only {', '.join(use_case.platforms)}")
        command = use_case.platforms[platform].builder
        if command not in bench.builders.values():
            known = "; ".join(shlex.join(one) for one in bench.builders.values()) or "none"
            text = f"{shlex.join(command)!r} is not among the [builders] of {bench.path}, which this daemon may run: {known}"
            raise FileError(name, f"platforms.{platform}.builder", text)
        _stays(bench, name, platform, use_case.platforms[platform].depends)
    meant = {platform: use_case.platforms[platform] for platform in platforms or use_case.platforms}
    return use_case.model_copy(update={"platforms": meant})


def _stays(bench: Bench, name: str, platform: str, depends: tuple[str, ...]) -> None:
    """What was sent leads to no file that is not the builders' own."""
    home = bench.path.parent.resolve()
    for one in depends:
        try:
            stays = (home / one).resolve().is_relative_to(home)
        except (OSError, ValueError):  # it can be no file's name
            stays = False
        if not stays:
            raise FileError(name, f"platforms.{platform}.depends", f"expected files and folders below that of {bench.path}, got {one!r}")


def checked_for(bench: Bench, use_case_text: str, platforms: tuple[str, ...], name: str = "use case") -> UseCase:
    """The same, and every candidate's plan fits the bench. Raises FileError."""
    use_case = asked_of(use_case_text, name, bench=bench, platforms=platforms)
    for platform, section in use_case.platforms.items():
        check_files(use_case, platform, bench, (settings_of(choice) for choice in space_of(section).listed(seed=1)))
        check_flash(use_case, platform, bench)
    return use_case


def _checked(asked: SearchAsked, bench: Bench, store: Path, name: str) -> Checked:
    use_case = checked_for(bench, asked.use_case, asked.platforms, name)
    return with_basis(use_case, dict.fromkeys(use_case.platforms, bench), kept_dataset(store, asked.dataset))


def _folder(job: JobRow, whole: Checked, store: Path, asked: SearchAsked) -> Folder:
    """What it began is what it goes on with."""
    made = folder_of(store, job.made) if job.made else None
    if made is not None and not made.ended and made.basis() == whole.basis:
        return made
    return open_search(store, whole.basis, fresh=asked.fresh)
