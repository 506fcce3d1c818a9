"""The lock files install the same packages everywhere, and every dependency has its reason in the documentation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-peers.txt")
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)(?: ; [^\\]+?)?(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)")


def entries(lock: str) -> list[str]:
    """One logical line a requirement, continuation lines joined, comments and empty lines dropped."""
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def pinned(lock: str) -> set[str]:
    return {canonical(match["name"]) for line in entries(lock) if (match := REQUIREMENT.fullmatch(line))}


def canonical(name: str) -> str:
    """As the core metadata specification compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements: list[str]) -> set[str]:
    return {canonical(match[0]) for text in requirements if (match := re.match(r"[A-Za-z0-9._-]+", text))}


RUNTIME = named(PROJECT["project"]["dependencies"])
DEVELOPMENT = named(PROJECT["dependency-groups"]["dev"])
PEERS = named(PROJECT["dependency-groups"]["peers"])
BUILD = named(PROJECT["build-system"]["requires"])


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_one_version_with_hashes(lock: str) -> None:
    assert entries(lock)
    assert [line for line in entries(lock) if not REQUIREMENT.fullmatch(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_says_where_packages_come_from(lock: str) -> None:
    assert re.findall(r"(?m)^.*(?:https?:|--index|--extra-index|--find-links|-i |-f |file:|@ ).*$", (ROOT / lock).read_text("utf-8")) == []


def test_every_dependency_is_locked() -> None:
    assert RUNTIME - pinned("requirements.txt") == set()
    assert (RUNTIME | DEVELOPMENT) - pinned("requirements-dev.txt") == set()
    assert PEERS - pinned("requirements-peers.txt") == set()


def test_the_build_needs_nothing_that_is_not_locked() -> None:
    assert BUILD - pinned("requirements-dev.txt") == set()


def test_both_locks_agree() -> None:
    """What is developed with is what users get."""
    assert set(entries("requirements.txt")) - set(entries("requirements-dev.txt")) == set()


def test_peers_change_nothing_that_labd_stands_on() -> None:
    """They go into the same environment."""
    ours, theirs = (
        {match["name"]: match["version"] for line in entries(lock) if (match := REQUIREMENT.fullmatch(line))} for lock in LOCKS[1:]
    )
    assert {name: version for name, version in theirs.items() if ours.get(name, version) != version} == {}


def test_every_dependency_has_its_reason() -> None:
    cells = re.findall(r"(?m)^\| ([^|]+) \|", (ROOT / "docs/dependencies.md").read_text("utf-8"))
    explained = {canonical(name.strip(" `")) for cell in cells for name in cell.split(",")}
    assert (RUNTIME | DEVELOPMENT | PEERS) - explained == set()


def test_no_reason_is_given_for_what_is_no_dependency() -> None:
    cells = re.findall(r"(?m)^\| ([^|]+) \|", (ROOT / "docs/dependencies.md").read_text("utf-8"))
    explained = {canonical(name.strip(" `")) for cell in cells for name in cell.split(",")} - {"package", "---", "-"}
    assert explained - RUNTIME - DEVELOPMENT - PEERS == set()
