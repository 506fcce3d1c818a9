"""The commands that the documentation shows exist, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from labd.cli.reference import commands

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SUBCOMMANDS = {name for name, _ in commands()}
TARGETS = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
OPTIONS = {"--help", "-h", "--verbose", "-v", "--install-completion"}  # of labd itself


def shown_commands(page: Path) -> list[list[str]]:
    """Lines of console and shell blocks that begin with a prompt, and code spans that begin with `labd` or `make`, in words."""
    text = page.read_text("utf-8")
    blocks = [body for language, body in FENCE.findall(text) if language in ("console", "sh", "bash", "shell")]
    lines = [line.removeprefix("$ ") for body in blocks for line in body.splitlines() if line.startswith(("$ ", "labd ", "make "))]
    spans = re.findall(r"`((?:labd|make) [^`]+)`", FENCE.sub("", text))
    return [shlex.split(line, comments=True) for line in lines + spans]


def exists(words: list[str]) -> bool:
    if words[0] == "make":
        return all(word in TARGETS for word in words[1:] if "=" not in word)
    if "--bench" in words:
        words = [*words[: words.index("--bench")], *words[words.index("--bench") + 2 :]]
    rest = [word for word in words[1:] if word not in OPTIONS]
    return words[0] != "labd" or not rest or bool({rest[0], " ".join(rest[:2])} & (SUBCOMMANDS | {"COMMAND"}))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    assert [" ".join(words) for words in shown_commands(page) if not exists(words)] == []


def test_the_readme_shows_commands() -> None:
    shown = shown_commands(ROOT / "README.md")
    assert ["make", "demo"] in shown
    assert ["make", "test"] in shown
    assert {"init", "check", "run", "report"} <= {words[1] for words in shown if words[0] == "labd"}


@pytest.mark.parametrize("line", ["labd mesure BENCH", "make everything", "labd --verbose mesure", "make test nothing"])
def test_a_command_that_does_not_exist_would_be_found(line: str) -> None:
    assert not exists(line.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_of_a_page_leads_to_a_file(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))) if "://" not in link]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_into_a_page_leads_to_a_heading(page: Path) -> None:
    links = [link.partition("#") for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))) if "://" not in link]
    inside = [(page.parent / path if path else page, anchor) for path, _, anchor in links if anchor]
    assert [(target.name, anchor) for target, anchor in inside if anchor not in anchors(target)] == []


def anchors(page: Path) -> set[str]:
    """As GitHub names the headings of a page."""
    headings = re.findall(r"(?m)^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
