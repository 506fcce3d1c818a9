"""The command tree: commands declared once by patterns such as `SENSe:ELOG:FUNCtion:CURRent[:STATe]`, found by any legal spelling."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Parameter, short_form

Reply = str | bytes | None


@dataclass(frozen=True, slots=True)
class Call:
    """One execution of a command. values: one per declared parameter; suffixes: of the `<a-b>` nodes, in order."""

    values: tuple[Any, ...] = ()
    suffixes: tuple[int, ...] = ()

    def __getitem__(self, index: int) -> Any:
        return self.values[index]


Action = Callable[[Call], Reply | Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Command:
    """What one header does. headerless: its reply never carries a header (Yokogawa's numeric queries)."""

    pattern: str
    action: Action
    parameters: tuple[Parameter, ...] = ()
    headerless: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    command: Command
    suffixes: tuple[int, ...]


@dataclass(slots=True)
class _Keyword:
    """One mnemonic of a pattern; low and high bound its numeric suffix, both 1 when it only tolerates a `1`."""

    name: str
    low: int = 1
    high: int = 1
    numbered: bool = False
    optional: bool = False


@dataclass(slots=True)
class _Node:
    children: dict[str, list[tuple[_Keyword, _Node]]] = field(default_factory=dict)
    set_command: Command | None = None
    query_command: Command | None = None


_TOKEN = re.compile(r"(\[)?:?([*A-Za-z0-9_]*[A-Za-z_])(\[1\])?(?:<(\d+)-(\d+)>)?:?(\])?")


def pattern_keywords(pattern: str) -> tuple[list[str], list[bool]]:
    """Mnemonics of a pattern and which of them are optional, for tests and header replies."""
    keywords = list(_keywords(pattern))
    return [k.name for k in keywords], [k.optional for k in keywords]


def _keywords(pattern: str) -> Iterator[_Keyword]:
    position = 0
    while position < len(pattern):
        found = _TOKEN.match(pattern, position)
        if found is None or found.end() == position or bool(found[1]) != bool(found[6]):
            raise ValueError(f"pattern {pattern!r} is not understood at {pattern[position:]!r}")
        numbered = found[4] is not None
        low, high = (int(found[4]), int(found[5])) if numbered else (1, 1)
        yield _Keyword(found[2], low, high, numbered=numbered, optional=bool(found[1]))
        position = found.end()


class CommandTree:
    """All commands of one instrument."""

    def __init__(self) -> None:
        self._root = _Node()
        self.patterns: list[str] = []

    def add(self, pattern: str, action: Action, *parameters: Parameter) -> None:
        """Declare the command form of a header."""
        self._declare(pattern, Command(pattern, action, parameters), query=False)

    def query(self, pattern: str, action: Action, *parameters: Parameter, headerless: bool = False) -> None:
        """Declare the query form of a header (`pattern` without the question mark)."""
        self._declare(pattern, Command(pattern, action, parameters, headerless), query=True)

    def _declare(self, pattern: str, command: Command, *, query: bool) -> None:
        keywords = list(_keywords(pattern))
        self.patterns.append(pattern)
        for keep in itertools.product(*((False, True) if k.optional else (True,) for k in keywords)):
            chosen = [k for k, kept in zip(keywords, keep, strict=True) if kept]
            node = self._root
            for keyword in chosen:
                node = _child(node, keyword)
            present = node.query_command if query else node.set_command
            if present is not None and present.pattern != pattern:
                raise ValueError(f"{pattern!r} collides with {present.pattern!r}")
            if query:
                node.query_command = command
            else:
                node.set_command = command

    def find(self, nodes: Sequence[str], *, query: bool) -> Found:
        """The command of a header given as mnemonics in upper case. Raises ScpiError(-113, -114).

        Two keywords may share a short form (the 2461's DIGital and, without SENSe, DIGitize): all readings are tried.
        """
        found, out_of_range = _search(self._root, tuple(nodes), (), query=query)
        if found is None:
            raise ScpiError(-114 if out_of_range else -113)
        return found


def _child(node: _Node, keyword: _Keyword) -> _Node:
    long = keyword.name.upper()
    for known, below in node.children.get(long, []):
        if known.name == keyword.name:
            if (known.low, known.high, known.numbered) != (keyword.low, keyword.high, keyword.numbered):
                raise ValueError(f"keyword {keyword.name!r} is declared in two ways: {known} and {keyword}")
            return below
    entry = (keyword, _Node())
    for form in {short_form(keyword.name), long}:
        node.children.setdefault(form, []).append(entry)
    return entry[1]


def _search(node: _Node, names: tuple[str, ...], suffixes: tuple[int, ...], *, query: bool) -> tuple[Found | None, bool]:
    """The first command that fits, and whether a suffix out of range was why nothing did."""
    if not names:
        command = node.query_command if query else node.set_command
        return (None if command is None else Found(command, suffixes)), False
    out_of_range = False
    for keyword, number, below in _steps(node, names[0]):
        if not keyword.low <= number <= keyword.high:
            out_of_range = True
            continue
        found, beyond = _search(below, names[1:], (*suffixes, number) if keyword.numbered else suffixes, query=query)
        if found is not None:
            return found, False
        out_of_range |= beyond
    return None, out_of_range


def _steps(node: _Node, name: str) -> Iterator[tuple[_Keyword, int, _Node]]:
    for keyword, below in node.children.get(name, []):
        yield keyword, 1, below
    stem = name.rstrip("0123456789")
    if stem != name:
        for keyword, below in node.children.get(stem, []):
            yield keyword, int(name[len(stem) :]), below
