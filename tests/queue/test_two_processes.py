"""Two processes on one catalogue: nothing is lost, nothing is taken twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from labd.store.catalogue import Catalogue
from labd.store.jobs import JobState

JOBS = 25
PROCESSES = 3
SUBMIT = """
import sys
from pathlib import Path
from labd.store.catalogue import Catalogue
from labd.store.jobs import NewJob
with Catalogue.open(Path(sys.argv[1])) as catalogue:
    for n in range(int(sys.argv[2])):
        print(catalogue.jobs.submit(NewJob("plan", "text")).id)
"""
TAKE = """
import sys
from pathlib import Path
from labd.errors import WrongState
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobState
with Catalogue.open(Path(sys.argv[1])) as catalogue:
    while waiting := catalogue.jobs.waiting():
        try:
            job = catalogue.jobs.begin(waiting[0].id)
        except WrongState:
            continue  # another process was quicker, or has a job under way
        catalogue.jobs.end(job.id, JobState.FINISHED)
        print(job.id)
"""


def together(script: str, *arguments: object) -> list[str]:
    """The lines that several processes printed, which ran at the same time."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    ended = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, ended
    return [line for out, _ in ended for line in out.splitlines()]


def test_every_job_is_kept_once_and_runs_once(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path):
        pass
    submitted = together(SUBMIT, tmp_path, JOBS)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        assert sorted(one.id for one in catalogue.jobs.waiting()) == sorted(submitted)
        assert len({one.position for one in catalogue.jobs.waiting()}) == PROCESSES * JOBS
    taken = together(TAKE, tmp_path)
    assert Counter(taken) == Counter(submitted)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        assert {one.state for one in catalogue.jobs.ended(limit=1000)} == {JobState.FINISHED}
